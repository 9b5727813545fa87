#!/bin/sh
# The newest user-mode-linux of a Debian suite, unpacked into a folder without being installed.
# It needs a newer libc than this system may have, which is put beside it. `linux.uml` in the folder
# starts it; its modules are in `modules`. Apt checks both packages against the suite's signed index.
set -eu
suite=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep '/debian/$' | sort -u | head -n 1)
: "${mirror:?apt has no Debian mirror among its sources}"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/packages"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
    > "$folder/apt/sources.list"
cat > "$folder/apt/conf" <<END
Dir::Etc::sourcelist "$folder/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$folder/apt/lists";
Dir::Cache "$folder/apt/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "$(id -un)";
END
export APT_CONFIG="$folder/apt/conf"
apt-get -qq --error-on=any update
wanted=
for package in user-mode-linux libc6; do
    wanted="$wanted $(apt-get --print-uris download "$package/$suite" | awk '{ print $2 }')"
done
if [ "$wanted" != "$(cat "$folder/unpacked" 2>/dev/null)" ]; then
    rm -rf "$folder/packages" "$folder/root" "$folder/lib" "$folder/unpacked"
    mkdir "$folder/packages" "$folder/root" "$folder/lib"
    (cd "$folder/packages" && apt-get -qq download "user-mode-linux/$suite" "libc6/$suite")
    for package in "$folder"/packages/*.deb; do
        dpkg-deb -x "$package" "$folder/root"
    done
    cp -L "$folder"/root/usr/lib/*-linux-gnu/ld-linux*.so.2 "$folder/lib/ld.so"
    cp -L "$folder"/root/usr/lib/*-linux-gnu/libc.so.6 "$folder/lib/"
    # Where it looks for its loader, in as many bytes. It starts itself again, and looks again.
    was=$(LC_ALL=C grep -a -o -m 1 '/lib[0-9a-z]*/ld-linux[-_0-9a-z]*\.so\.2' \
        "$folder/root/usr/bin/linux.uml" | head -n 1)
    padding=$(printf '%*s' $((${#was} - 9)) '' | sed 's/ /\\x00/g')
    LC_ALL=C sed "s|$was|lib/ld.so$padding|" "$folder/root/usr/bin/linux.uml" > "$folder/kernel"
    chmod +x "$folder/kernel"
    printf '#!/bin/sh\ncd "%s" && LD_LIBRARY_PATH=lib exec ./kernel "$@"\n' "$folder" \
        > "$folder/linux.uml"
    chmod +x "$folder/linux.uml"
    ln -sfn root/usr/lib/uml/modules "$folder/modules"
    rm -rf "$folder/packages"
    echo "$wanted" > "$folder/unpacked"
fi
echo "$suite: Linux $("$folder/linux.uml" --version), from$wanted"
