import Glibc

/// What the system says of the file system that a file lies on.
enum FileSystem {
    /// Magic numbers of network and user-space file systems (statfs(2) and their sources). A page of a file there can fail
    /// to come after it was mapped, which ends the process with SIGBUS.
    private static let remote: Set<Int> = [
        0x6969,  // NFS
        0x0BD0_0BD0,  // Lustre
        0x00C3_6400,  // CephFS
        0x6573_5546,  // FUSE
        0x4750_4653,  // GPFS
        0x1983_0326,  // BeeGFS
        0x5346_414F,  // AFS
    ]

    private typealias Call = @convention(c) (Int32, UnsafeMutableRawPointer) -> Int32

    /// The Glibc module has no `fstatfs`, the library has.
    private static let call: Call? = {
        guard let symbol = dlsym(nil, "fstatfs") else { return nil }
        return unsafeBitCast(symbol, to: Call.self)
    }()

    /// Whether an open file may safely be mapped: not on a network, nor on a file system that cannot be asked.
    static func isLocal(_ descriptor: Int32) -> Bool {
        guard let call else { return false }
        // `struct statfs` has 120 bytes on 64-bit Linux and begins with the type as a machine word.
        return withUnsafeTemporaryAllocation(byteCount: 512, alignment: 16) { buffer in
            guard let base = buffer.baseAddress, call(descriptor, base) == 0 else { return false }
            return !remote.contains(base.load(as: Int.self))
        }
    }
}
