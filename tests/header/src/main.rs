//! Writes the headers.

fn main() {
    for header in vsched_header::generate() {
        let path = vsched_header::path(header.name);
        std::fs::write(&path, header.text).expect("a writable header");
        println!("wrote {}", path.display());
    }
}
