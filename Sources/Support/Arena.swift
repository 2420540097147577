import Glibc

/// One stretch of memory that buffers are cut from: in large pages where the system has them, so that rows from all over it
/// cost fewer walks through page tables, and first writes fewer faults.
///
/// `@unchecked Sendable`: only `take` changes it, which one thread calls at a time (`BatchStore` under its lock); pieces do not
/// overlap, and belong to whoever took them.
public final class Arena: @unchecked Sendable {
    private static let page = 2 << 20
    private let base: UnsafeMutableRawPointer?
    private let capacity: Int
    private var used = 0

    /// Memory for `count` bytes; pages come when they are written to. Without any if the system refuses.
    public init(count: Int) {
        let size = max(1, (count + Self.page - 1) / Self.page) * Self.page
        // One page more, to begin at a multiple of its size.
        let memory = mmap(nil, size + Self.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            base = nil
            capacity = 0
            return
        }
        let start = UnsafeMutableRawPointer(
            bitPattern: (UInt(bitPattern: memory) + UInt(Self.page) - 1) & ~(UInt(Self.page) - 1))
        base = start
        capacity = start == nil ? 0 : size
        mapping = (memory, size + Self.page)
        // A hint: where it is not taken, pages are small.
        if let start { madvise(start, size, MADV_HUGEPAGE) }
    }

    private var mapping: (start: UnsafeMutableRawPointer, size: Int)?

    deinit {
        if let mapping { munmap(mapping.start, mapping.size) }
    }

    /// The next piece of at least `count` bytes, aligned to 64; nil if there is no room.
    func take(_ count: Int) -> (base: UnsafeMutableRawPointer, count: Int)? {
        let size = Self.rounded(count)
        guard let base, size <= capacity - used else { return nil }
        defer { used += size }
        return (base + used, size)
    }

    /// What a piece of `count` bytes takes.
    public static func rounded(_ count: Int) -> Int { (max(1, count) + 63) / 64 * 64 }
}
