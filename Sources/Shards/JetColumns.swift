import Support

/// Original columns of some jets in memory: what a source gives and what decoding gives back.
///
/// Not Sendable: one worker owns it and uses it again and again.
public final class JetColumns {
    /// Jets.
    public private(set) var rows = 0
    /// Constituents of all jets.
    public private(set) var constituents = 0
    /// Where each jet's constituents begin; `rows + 1` numbers from 0 on.
    public let offsets = AlignedBuffer()
    /// The bytes of each field, in the order of the encoding's fields, little-endian and contiguous.
    public let fields: [AlignedBuffer]
    private let types: [ElementType]
    private let widths: [Int]
    private let isConstituent: [Bool]

    /// Memory for these fields.
    public init(fields described: [SourceField]) {
        fields = described.map { _ in AlignedBuffer() }
        types = described.map(\.type)
        widths = described.map(\.type.width)
        isConstituent = described.map { $0.role == .constituent }
    }

    /// Makes room; contents are not initialised.
    public func resize(rows: Int, constituents: Int) {
        self.rows = rows
        self.constituents = constituents
        offsets.reserve((rows + 1) * 4)
        for (index, field) in fields.enumerated() { field.reserve(byteCount(of: index)) }
    }

    /// Bytes of a field.
    public func byteCount(of field: Int) -> Int {
        (isConstituent[field] ? constituents : rows) * widths[field]
    }

    /// The bytes of a field.
    public func bytes(of field: Int) -> UnsafeRawBufferPointer {
        fields[field].bytes(byteCount(of: field))
    }

    /// The element type of a field.
    public func elementType(of field: Int) -> ElementType { types[field] }

    /// Whether a field has a value for each constituent.
    public func hasConstituents(_ field: Int) -> Bool { isConstituent[field] }

    /// Copies rows of other columns with the same fields behind these.
    public func append(_ added: Range<Int>, of other: JetColumns) {
        let starts = other.offsetNumbers
        let first = Int(starts[added.lowerBound]), more = Int(starts[added.upperBound]) - first
        offsets.reserve((rows + added.count + 1) * 4, keeping: (rows + 1) * 4)
        let ends = offsets.elements(Int32.self, count: rows + added.count + 1)
        if rows == 0 { ends[0] = 0 }
        for (place, row) in added.enumerated() {
            ends[rows + place + 1] = Int32(truncatingIfNeeded: constituents + Int(starts[row + 1]) - first)
        }
        for (index, field) in fields.enumerated() {
            let width = widths[index], kept = byteCount(of: index)
            let (start, count) = isConstituent[index] ? (first, more) : (added.lowerBound, added.count)
            field.reserve(kept + count * width, keeping: kept)
            (field.base + kept).copyMemory(from: other.fields[index].base + start * width, byteCount: count * width)
        }
        rows += added.count
        constituents += more
    }

    /// Copies a field of other columns to these, row i to row `rows[i]`; offsets and sizes have been set.
    public func scatter(field: Int, from other: JetColumns, field source: Int, to rows: UnsafeBufferPointer<Int32>) {
        let width = widths[field], target = fields[field].base, values = other.fields[source].base
        guard isConstituent[field] else {
            for (index, row) in rows.enumerated() {
                (target + Int(row) * width).copyMemory(from: values + index * width, byteCount: width)
            }
            return
        }
        let ends = offsetNumbers, starts = other.offsetNumbers
        for (index, row) in rows.enumerated() {
            (target + Int(ends[Int(row)]) * width).copyMemory(
                from: values + Int(starts[index]) * width, byteCount: Int(starts[index + 1] - starts[index]) * width)
        }
    }

    /// Constituents before each jet, and of all.
    public var offsetNumbers: UnsafeMutableBufferPointer<Int32> { offsets.elements(Int32.self, count: rows + 1) }

    /// Digests of the original columns (docs/format.md): the counts as uint32, then each field in order.
    public func digests() -> [Digest] {
        let offsets = offsetNumbers
        var counts = [UInt32](repeating: 0, count: rows)
        for row in 0..<rows { counts[row] = UInt32(truncatingIfNeeded: offsets[row + 1] &- offsets[row]) }
        return [counts.withUnsafeBytes { Digest(of: $0) }] + fields.indices.map { Digest(of: bytes(of: $0)) }
    }

    /// XXH3-64 over digests as little-endian numbers one after the other.
    public static func content(_ digests: [Digest]) -> Digest {
        digests.map(\.value.littleEndian).withUnsafeBytes { Digest(of: $0) }
    }
}
