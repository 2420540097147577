/// A branch, or one leaf of it, that can be read: what its entries hold and where its baskets are.
public struct ROOTColumn: Sendable {
    /// The path: branch, or `parent/child`; with the leaf's name behind it if a branch has several.
    public let name: String
    /// What the writer said of it.
    public let title: String
    /// The type of its values.
    public let element: ROOTElement
    /// Fixed dimensions of an item; empty if an item is one value.
    public let shape: [Int]
    /// Entries of the branch.
    public let entries: Int
    /// Bytes of all baskets, decompressed; by the writer's count.
    public let bytes: Int
    /// Bytes of all baskets in the file; by the writer's count.
    public let storedBytes: Int
    /// Codec and level by which it was made; baskets may hold others.
    public let compression: Int

    /// How an entry is laid out in its basket.
    enum Layout: Sendable, Equatable {
        /// The same bytes for each entry; of several leaves, each at its offset.
        case fixed(stride: Int, offset: Int)
        /// As many items as another branch says.
        case counted
        /// The same, each entry behind a byte that is 0 for none (`T* //[n]`).
        case countedPointer
        /// A vector: byte count, version and number of items before these.
        case vector
        /// A text with its length, after so many bytes of header.
        case string(header: Int)
    }

    let layout: Layout
    let packing: PackedFloat?
    let baskets: BasketTable
    /// The branch that counts the items of this one; none or one.
    let counters: [ROOTColumn]
    /// Where the branch's slot is in the tree's record: tells counters apart.
    let slot: Int

    /// Whether entries differ in their number of items.
    public var isJagged: Bool {
        if case .fixed = layout { return false }
        return true
    }

    /// The first entry of each basket, and the end of the last one's.
    public var basketStarts: [Int] { baskets.starts }

    /// The values of an item.
    var itemValues: Int { shape.reduce(1, *) }

    /// Bytes of a value in a basket.
    var diskWidth: Int { packing?.width ?? element.width }

    /// The type in the words of the field: `float32`, `float32[3]`, `float32[nJet]`, `vector<float32>`, `string`.
    public var typeName: String {
        let dimensions = shape.map { "[\($0)]" }.joined()
        switch layout {
        case .fixed: return element.rawValue + dimensions
        case .counted, .countedPointer:
            return "\(element.rawValue)[\(counters.first?.name ?? "n")]" + dimensions
        case .vector: return "vector<\(element.rawValue)>"
        case .string: return "string"
        }
    }
}

/// A branch as it is listed: readable or not.
public struct ROOTBranch: Sendable {
    /// The path: branch, or `parent/child`; with the leaf's name behind it if a branch has several.
    public let path: String
    /// What the writer said of it.
    public let title: String
    /// The class of the branch, for example `TBranchElement`.
    public let className: String
    /// The columns that are read from it, one a leaf; empty if it is not read.
    public let columns: [ROOTColumn]
    /// Why it is not read.
    public let refusal: ROOTError?
    /// Whether it is a node: other branches hang from it.
    public let isNode: Bool
    /// Whether a branch before it has the same path: then that one is found by name.
    public let isRepeated: Bool
}
