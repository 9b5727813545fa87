/* Preloaded into User Mode Linux: lets a kernel with a small buffer run on a CPU with much state.
 *
 * Kernels before 6.13 keep 2,696 bytes of a process's extended state (XSAVE), all that there is up
 * to AVX-512 and protection keys. Where the CPU has AMX it is 11,008, and the host refuses to set
 * less than the whole (EFAULT), so that process 1 dies at once. Here the rest is what the process
 * has: the initial state, as AMX wants a permission that nobody in there asks for.
 *
 * By hand: cc -shared -fPIC -o xstate.so xstate.c && LD_PRELOAD=./xstate.so linux.uml ... */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { XSTATE = 0x202 /* NT_X86_XSTATE of elf.h */ };

/* Not on the stack, which is the kernel's. One thread calls, and never within a call. */
static char whole[1 << 16];

static long host(long request, long pid, void *addr, void *data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	va_start(rest, request);
	long pid = va_arg(rest, pid_t);
	void *addr = va_arg(rest, void *);
	void *data = va_arg(rest, void *);
	va_end(rest);

	if (request == PTRACE_SETREGSET && addr == (void *)XSTATE) {
		const struct iovec *part = data;
		struct iovec all = { whole, sizeof whole };
		if (host(PTRACE_GETREGSET, pid, addr, &all) == 0 && part->iov_len < all.iov_len) {
			memcpy(whole, part->iov_base, part->iov_len);
			data = &all;
			return host(request, pid, addr, data);
		}
	}
	/* The system call stores what it has read, where the function of the C library returns it. */
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		long word;
		if (host(request, pid, addr, &word) < 0)
			return -1;
		errno = 0;
		return word;
	}
	return host(request, pid, addr, data);
}
