//! Writes `include/vsched.h`.

fn main() {
    let path = vsched_header::path();
    std::fs::write(&path, vsched_header::generate()).expect("a writable header");
    println!("wrote {}", path.display());
}
