import Support

/// The values of a column for a range of entries.
///
/// `@unchecked Sendable`: the memory is filled before it is handed out and never written again.
public final class ROOTValues: @unchecked Sendable {
    /// The entries of the tree.
    public let entries: Range<Int>
    /// The type of the values.
    public let element: ROOTElement
    /// Fixed dimensions of an item; empty if an item is one value.
    public let shape: [Int]
    /// How many values there are, of all entries; of strings how many bytes.
    public let count: Int
    private let memory: AlignedBuffer
    private let places: AlignedBuffer?

    convenience init(entries: Range<Int>, column: ROOTColumn, count: Int, memory: AlignedBuffer, places: AlignedBuffer?)
    {
        self.init(
            entries: entries, element: column.element, shape: column.shape, count: count, memory: memory, places: places
        )
    }

    init(
        entries: Range<Int>, element: ROOTElement, shape: [Int], count: Int, memory: AlignedBuffer,
        places: AlignedBuffer?
    ) {
        self.entries = entries
        self.element = element
        self.shape = shape
        self.count = count
        self.memory = memory
        self.places = places
    }

    /// The bytes of all values, in the machine's order; of bools 0 or 1; of strings one after the other.
    ///
    /// They live as long as this object.
    public var bytes: UnsafeRawBufferPointer { memory.bytes(count * element.width) }

    /// The values as a type of their width. They live as long as this object.
    /// - Precondition: `Value` has the width of `element`.
    public func values<Value: BitwiseCopyable>(as type: Value.Type) -> UnsafeBufferPointer<Value> {
        precondition(MemoryLayout<Value>.stride == element.width, "values of \(element) are not read as \(Value.self)")
        return UnsafeBufferPointer(memory.elements(type, count: count))
    }

    /// How many items there are before each entry, and in all: `entries.count + 1` numbers from 0 on; of strings these are bytes.
    /// Nil if each entry has one item. They live as long as this object.
    public var offsets: UnsafeBufferPointer<Int64>? {
        places.map { UnsafeBufferPointer($0.elements(Int64.self, count: entries.count + 1)) }
    }

    /// The number of values of an item.
    public var itemValues: Int { shape.reduce(1, *) }

    /// Where the values of an entry are, which is counted from the first of the range.
    public func range(ofEntry index: Int) -> Range<Int> {
        let width = itemValues
        guard let offsets else { return index * width..<(index + 1) * width }
        return Int(offsets[index]) * width..<Int(offsets[index + 1]) * width
    }
}
