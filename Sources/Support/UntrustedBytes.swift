/// Bytes from a file, read with every offset checked.
///
/// All arithmetic is checked: an offset, length or count that leads outside gives nil, never a trap.
public struct UntrustedBytes {
    /// The bytes.
    public let bytes: UnsafeRawBufferPointer

    /// Bytes to distrust; the caller keeps them alive.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// How many bytes there are.
    public var count: Int { bytes.count }

    /// The little-endian integer at `offset`, or nil if it does not lie inside.
    @inlinable
    public func load<T: FixedWidthInteger>(_ type: T.Type = T.self, at offset: Int) -> T? {
        let (end, overflow) = offset.addingReportingOverflow(MemoryLayout<T>.size)
        guard offset >= 0, !overflow, end <= bytes.count else { return nil }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// The part of `length` bytes at `offset`, or nil if it does not lie inside.
    @inlinable
    public func slice(at offset: Int, length: Int) -> UntrustedBytes? {
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard offset >= 0, length >= 0, !overflow, end <= bytes.count else { return nil }
        return UntrustedBytes(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
    }
}
