/// What a pickle holds, as a flat table of nodes that refer to each other by number: shared parts stay shared, cycles do no harm,
/// and however deep it is, nothing recurses when it goes away.
struct PickleGraph: Sendable {
    /// A value: small ones in place, others by the number of their node.
    enum Item: Sendable {
        case none
        case bool(Bool)
        case integer(Int64)
        case double(Double)
        case node(Int32)
    }

    struct Pair: Sendable {
        var key: Item
        var value: Item
    }

    enum Node: Sendable {
        case text(String)
        case bytes([UInt8])
        /// An integer beyond 64 bits: two's complement, little-endian.
        case longInteger([UInt8])
        case list([Item])
        case tuple([Item])
        case set([Item])
        case dictionary([Pair])
        /// By position in the tables below.
        case global(Int32)
        case storage(Int32)
        case tensor(Int32)
        case object(Int32)
    }

    /// The name of a class or function.
    struct Global: Sendable, Hashable {
        var module: String
        var name: String
    }

    /// What a class or function was to make of arguments, which nobody did.
    struct Object: Sendable {
        var maker: Item
        var arguments: Item
        var keywords: Item = .none
        var state: Item = .none
        /// Appended, as to a list.
        var items: [Item] = []
        /// Stored, as into a dictionary.
        var pairs: [Pair] = []
    }

    var nodes: [Node] = []
    var globals: [Global] = []
    var storages: [TensorStorage] = []
    var tensors: [StoredTensor] = []
    var objects: [Object] = []
    /// The whole.
    var root = Item.none

    /// The node of an item; nil if it is a small value.
    func node(_ item: Item) -> Node? {
        guard case .node(let number) = item else { return nil }
        return nodes[Int(number)]
    }

    func text(_ item: Item) -> String? {
        guard case .text(let text)? = node(item) else { return nil }
        return text
    }

    func global(_ item: Item) -> Global? {
        guard case .global(let number)? = node(item) else { return nil }
        return globals[Int(number)]
    }

    func tuple(_ item: Item) -> [Item]? {
        guard case .tuple(let items)? = node(item) else { return nil }
        return items
    }

    func integer(_ item: Item) -> Int? {
        guard case .integer(let value) = item else { return nil }
        return Int(value)
    }
}

/// A stretch of numbers in a checkpoint, at which one tensor or several look.
public struct TensorStorage: Sendable, Hashable {
    /// Its name in the archive.
    public let key: String
    /// The class that it was saved as, for example `FloatStorage`.
    public let className: String
    /// The type of its numbers; nil if this room has none for it, or it is of plain bytes.
    public let type: TensorType?
    /// How many numbers there are; bytes if there is no type.
    public let count: Int
    /// The device that it lay on, for example `cpu` or `cuda:0`.
    public let device: String

    /// Bytes of the whole; nil if that is beyond what an integer can say, or the size of a number is unknown.
    var byteCount: Int? {
        if let type { return count.multipliedReportingOverflow(by: type.size).overflow ? nil : count * type.size }
        return className == "UntypedStorage" ? count : nil
    }
}

/// A tensor in a checkpoint: how it looks at its storage. All elements that it can reach lie inside.
public struct StoredTensor: Sendable, Hashable {
    /// The type of the elements.
    public let type: TensorType
    /// The length of each dimension.
    public let shape: [Int]
    /// Elements from one index to the next, for each dimension.
    public let strides: [Int]
    /// Where it begins in the storage, in elements.
    public let offset: Int
    /// Whose numbers these are; others may look at them too.
    public let storage: TensorStorage
    /// How many elements there are.
    public let count: Int

    /// Bytes of all elements.
    public var byteCount: Int { count * type.size }

    /// Whether elements lie one after the other, the last index running fastest.
    public var isContiguous: Bool {
        guard count > 0 else { return true }
        var wanted = 1
        for (length, stride) in zip(shape, strides).reversed() where length != 1 {
            guard stride == wanted else { return false }
            wanted *= length
        }
        return true
    }

    /// nil if it leads out of the storage or contradicts itself.
    init?(type: TensorType, shape: [Int], strides: [Int], offset: Int, storage: TensorStorage) {
        guard shape.count == strides.count, shape.count <= TensorEntry.mostDimensions, offset >= 0,
            strides.allSatisfy({ $0 >= 0 }), let bytes = storage.byteCount,
            let count = TensorEntry.count(shape, size: type.size)
        else { return nil }
        if count > 0 {
            var last = offset
            for (length, stride) in zip(shape, strides) {
                let (reach, tooFar) = stride.multipliedReportingOverflow(by: length - 1)
                let (sum, stillTooFar) = last.addingReportingOverflow(reach)
                guard !tooFar, !stillTooFar else { return nil }
                last = sum
            }
            guard last < bytes / type.size else { return nil }
        }
        self.type = type
        self.shape = shape
        self.strides = strides
        self.offset = offset
        self.storage = storage
        self.count = count
    }
}
