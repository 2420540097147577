/// Memory aligned to 64 bytes that grows when asked and is reused otherwise.
///
/// Not Sendable: one worker owns it.
public final class AlignedBuffer {
    /// The start of the memory; aligned to 64 bytes.
    public private(set) var base: UnsafeMutableRawPointer
    /// How many bytes can be used.
    public private(set) var capacity: Int

    /// Whose memory this is until it grows; nil: its own.
    private var arena: Arena?

    /// A buffer of at least `capacity` bytes, not initialised.
    public init(capacity: Int = 64) {
        self.capacity = max(64, capacity)
        base = .allocate(byteCount: self.capacity, alignment: 64)
    }

    deinit {
        if arena == nil { base.deallocate() }
    }

    /// Takes memory for `count` bytes from an arena, if it has so much left; what was in the buffer is lost.
    public func move(to arena: Arena, count: Int) {
        guard let memory = arena.take(count) else { return reserve(count) }
        if self.arena == nil { base.deallocate() }
        base = memory.base
        capacity = memory.count
        self.arena = arena
    }

    /// Makes room for `count` bytes. The first `keeping` bytes survive; others are not initialised.
    public func reserve(_ count: Int, keeping kept: Int = 0) {
        guard count > capacity else { return }
        // Growing by half keeps repeated small growth cheap without doubling the peak.
        let size = max(count, capacity + capacity / 2)
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        fresh.copyMemory(from: base, byteCount: min(kept, capacity))
        if arena == nil { base.deallocate() }
        arena = nil
        base = fresh
        capacity = size
    }

    /// The first `count` elements, read as `type`. The caller has reserved and written them.
    public func elements<Element>(_ type: Element.Type, count: Int) -> UnsafeMutableBufferPointer<Element> {
        UnsafeMutableBufferPointer(start: base.assumingMemoryBound(to: type), count: count)
    }

    /// The first `count` bytes.
    public func bytes(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: count)
    }
}
