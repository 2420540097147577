/// A tree of a made ROOT file: what is written, lies included.
public struct MadeTree: Sendable {
    /// The name.
    public var name: String
    /// What it says of its entries.
    public var entries: Int
    /// The branches.
    public var branches: [MadeBranch]

    /// A tree.
    public init(_ name: String, entries: Int, _ branches: [MadeBranch]) {
        self.name = name
        self.entries = entries
        self.branches = branches
    }

    /// The payload of its record.
    ///
    /// - Parameter baskets: Where the baskets of each branch are, parents first.
    func payload(keyBytes: Int, baskets: [[Int]]) -> ROOTBytes {
        var bytes = ROOTBytes(keyBytes: keyBytes), writer = MadeBranch.Writer(tree: name, baskets: baskets)
        bytes.frame(20) { bytes in
            bytes.named(name, "made by a test")
            bytes.frame(2) { $0.zeros(6) }
            bytes.frame(2) { $0.zeros(4) }
            bytes.frame(2) { $0.zeros(8) }
            bytes.put(Int64(entries), as: "\(name): entries")
            bytes.zeros(4 * 8 + 8 + 3 * 4)
            bytes.put(Int32(1000))
            bytes.put(UInt32(0), as: "\(name): cluster ranges")
            bytes.zeros(4 * 8 + 8 + 8)
            bytes.put(UInt8(0))
            bytes.put(UInt8(0))
            MadeBranch.features(&bytes)
            bytes.array(branches.count, as: "\(name): branches") { bytes in
                for branch in branches { writer.write(branch, path: branch.name, &bytes) }
            }
            bytes.array(writer.leaves.count) { bytes in
                for slot in writer.leaves { bytes.reference(slot) }
            }
            bytes.put(UInt32(0))
            bytes.put(Int32(0))
            bytes.put(Int32(0))
            for _ in 0..<4 { bytes.put(UInt32(0)) }
        }
        return bytes
    }
}

/// A leaf of a made branch.
public struct MadeLeaf: Sendable {
    /// The class: `TLeafF`.
    public var className: String
    /// The name.
    public var name: String
    /// The title, which holds its dimensions.
    public var title: String
    /// The product of the fixed dimensions.
    public var length = 1
    /// Whether it is unsigned.
    public var isUnsigned = false
    /// The branch whose leaf counts it.
    public var counter: String?
    /// The type, of a TLeafElement.
    public var type = 0

    /// A leaf; its title is its name.
    public init(_ className: String, _ name: String, title: String? = nil, counter: String? = nil, type: Int = 0) {
        self.className = className
        self.name = name
        self.title = title ?? name
        self.counter = counter
        self.type = type
    }
}

/// A basket of a made branch.
public struct MadeBasket: Sendable {
    /// How many entries it holds.
    public var entries: Int
    /// The values as they are stored.
    public var data: [UInt8]
    /// Where the entries begin in them, if it is stored.
    public var starts: [Int]?

    /// A basket.
    public init(entries: Int, data: [UInt8], starts: [Int]? = nil) {
        self.entries = entries
        self.data = data
        self.starts = starts
    }
}

/// A branch of a made tree.
public struct MadeBranch: Sendable {
    /// The name.
    public var name: String
    /// What it says of its entries; else what its baskets hold.
    public var entries: Int?
    /// Its leaves.
    public var leaves: [MadeLeaf]
    /// Its baskets.
    public var baskets: [MadeBasket]
    /// How many of them, from the end, lie in the tree's record.
    public var embedded = 0
    /// The class that its values are of, of a TBranchElement.
    public var valueClass: String?
    /// Kind of a TBranchElement.
    public var elementType = 0
    /// Branches below.
    public var branches: [MadeBranch] = []
    /// Branches whose first leaves it refers to, behind its own.
    public var references: [String] = []
    /// Whether all of its baskets are the first one.
    public var sharesBaskets = false

    /// A branch.
    public init(_ name: String, _ leaves: [MadeLeaf], _ baskets: [MadeBasket]) {
        self.name = name
        self.leaves = leaves
        self.baskets = baskets
    }

    /// Cuts entries into baskets. Each entry is a run of bytes; `storesStarts` if baskets say where they begin.
    public static func baskets(_ entries: [[UInt8]], of size: Int, storesStarts: Bool) -> [MadeBasket] {
        stride(from: 0, to: entries.count, by: size).map { first in
            let part = entries[first..<min(entries.count, first + size)]
            var starts: [Int] = [], data: [UInt8] = []
            for entry in part {
                starts.append(data.count)
                data += entry
            }
            return MadeBasket(entries: part.count, data: data, starts: storesStarts ? starts : nil)
        }
    }

    private static func big<Number: FixedWidthInteger>(_ numbers: [Number]) -> [UInt8] {
        numbers.flatMap { number in withUnsafeBytes(of: number.bigEndian) { Array($0) } }
    }

    /// A branch of one int32 an entry.
    public static func int32(_ name: String, _ values: [Int32], basket: Int = 4) -> MadeBranch {
        MadeBranch(
            name, [MadeLeaf("TLeafI", name)],
            baskets(values.map { big([$0]) }, of: basket, storesStarts: false))
    }

    /// A branch of as many floats as another branch says.
    public static func counted(_ name: String, by counter: String, _ items: [[Float]], basket: Int = 4) -> MadeBranch {
        MadeBranch(
            name, [MadeLeaf("TLeafF", name, title: "\(name)[\(counter)]", counter: counter)],
            baskets(items.map { big($0.map(\.bitPattern)) }, of: basket, storesStarts: true))
    }

    /// A branch of `std::vector<float>`.
    public static func vectors(_ name: String, _ items: [[Float]], basket: Int = 4) -> MadeBranch {
        let entries = items.map { values in
            big([0x4000_0000 | UInt32(6 + 4 * values.count)]) + big([UInt16(9)]) + big([Int32(values.count)])
                + big(values.map(\.bitPattern))
        }
        var branch = MadeBranch(
            name, [MadeLeaf("TLeafElement", name, type: -1)], baskets(entries, of: basket, storesStarts: true))
        branch.valueClass = "vector<float>"
        return branch
    }

    /// A branch of texts.
    public static func texts(_ name: String, _ values: [String], basket: Int = 4) -> MadeBranch {
        MadeBranch(
            name, [MadeLeaf("TLeafC", name)],
            baskets(values.map { [UInt8($0.utf8.count)] + Array($0.utf8) }, of: basket, storesStarts: true))
    }

    /// A branch of two leaves, a float32 and an int16[2], packed one behind the other.
    public static func pairs(_ name: String, _ values: [(Float, Int16)], basket: Int = 4) -> MadeBranch {
        MadeBranch(
            name, [MadeLeaf("TLeafF", "a"), MadeLeaf("TLeafS", "b", title: "b[2]")],
            baskets(
                values.map { big([$0.0.bitPattern]) + big([$0.1, $0.1 &+ 1]) }, of: basket, storesStarts: false))
    }

    /// Its baskets of the file, without those in the record.
    var stored: ArraySlice<MadeBasket> { baskets.dropLast(embedded) }

    static func features(_ bytes: inout ROOTBytes) {
        bytes.frame(0) {
            $0.put(UInt32(0x1aa1_2f10))
            $0.put(UInt8(0))
        }
    }

    /// Writes branches into a tree's record.
    struct Writer {
        let tree: String
        /// Where the baskets of those branches are that are not written yet.
        var baskets: [[Int]]
        /// The slots of all leaves.
        var leaves: [Int] = []
        /// The slot of the first leaf of each branch.
        private var counters: [String: Int] = [:]

        init(tree: String, baskets: [[Int]]) {
            self.tree = tree
            self.baskets = baskets
        }

        mutating func write(_ branch: MadeBranch, path: String, _ bytes: inout ROOTBytes) {
            let mark = "\(tree)/\(path)"
            bytes.mark(mark)
            bytes.slot(branch.valueClass == nil ? "TBranch" : "TBranchElement") { bytes in
                guard let valueClass = branch.valueClass else { return plain(branch, path, mark, &bytes) }
                bytes.frame(10) { bytes in
                    plain(branch, path, mark, &bytes)
                    for text in [valueClass, "", ""] { bytes.text(text) }
                    bytes.put(UInt32(0))
                    bytes.put(Int16(0))
                    bytes.put(Int32(-1))
                    bytes.put(Int32(branch.elementType))
                    bytes.put(Int32(-1))
                    bytes.put(Int32(0))
                    bytes.put(UInt32(0), as: "\(mark): counting branch")
                    bytes.put(UInt32(0))
                }
            }
        }

        private mutating func plain(_ branch: MadeBranch, _ path: String, _ mark: String, _ bytes: inout ROOTBytes) {
            let places = baskets.removeFirst(), stored = branch.stored,
                entries = branch.baskets.reduce(0) { $0 + $1.entries }
            bytes.mark("\(mark): frame")
            bytes.frame(13) { bytes in
                bytes.mark("\(mark): name")
                bytes.named(branch.name, branch.name)
                bytes.frame(2) { $0.zeros(4) }
                bytes.put(Int32(0))
                bytes.put(Int32(32_000))
                let hasStarts = branch.baskets.contains { $0.starts != nil }
                bytes.put(Int32(hasStarts ? 1000 : 0), as: "\(mark): offset bytes")
                bytes.put(Int32(stored.count), as: "\(mark): finished baskets")
                bytes.put(Int64(entries))
                MadeBranch.features(&bytes)
                bytes.put(Int32(0))
                bytes.put(UInt32(stored.count + 1), as: "\(mark): baskets")
                bytes.put(Int32(0))
                bytes.put(Int64(branch.entries ?? entries), as: "\(mark): entries")
                bytes.put(Int64(0), as: "\(mark): first entry")
                let sizes = branch.baskets.map { $0.data.count }.reduce(0, +)
                bytes.put(Int64(sizes), as: "\(mark): total bytes")
                bytes.put(Int64(sizes), as: "\(mark): stored bytes")
                bytes.array(branch.branches.count, as: "\(mark): branches") { bytes in
                    for below in branch.branches { write(below, path: "\(path)/\(below.name)", &bytes) }
                }
                bytes.array(branch.leaves.count + branch.references.count, as: "\(mark): leaves") { bytes in
                    for (number, leaf) in branch.leaves.enumerated() {
                        write(leaf, isFirst: number == 0, of: branch.name, "\(mark): leaf \(number)", &bytes)
                    }
                    for name in branch.references { bytes.reference(counters[name] ?? 0) }
                }
                bytes.array(stored.count + branch.embedded, as: "\(mark): embedded") { bytes in
                    for _ in stored { bytes.put(UInt32(0)) }
                    for (number, basket) in branch.baskets.enumerated().dropFirst(stored.count) {
                        let mark = "\(mark) basket \(number)"
                        bytes.mark(mark)
                        bytes.slot("TBasket") { basket.embed(branch.name, tree, mark, &$0) }
                    }
                }
                table(branch, places, mark, &bytes)
            }
        }

        private func table(_ branch: MadeBranch, _ places: [Int], _ mark: String, _ bytes: inout ROOTBytes) {
            bytes.put(UInt8(1), as: "\(mark): has sizes")
            for (number, basket) in branch.stored.enumerated() {
                bytes.put(
                    Int32(basket.headerBytes(branch.name, tree) + basket.payload(0).count),
                    as: "\(mark): size of basket \(number)")
            }
            bytes.put(Int32(0))
            bytes.put(UInt8(1))
            var first = 0
            for (number, basket) in branch.stored.enumerated() {
                bytes.put(Int64(first), as: "\(mark): start of basket \(number)")
                first += basket.entries
            }
            bytes.put(Int64(first), as: "\(mark): start of basket \(branch.stored.count)")
            bytes.put(UInt8(1))
            for (number, place) in places.enumerated() {
                bytes.put(Int64(place), as: "\(mark): place of basket \(number)")
            }
            bytes.put(Int64(0))
            bytes.text("")
        }

        private mutating func write(
            _ leaf: MadeLeaf, isFirst: Bool, of branch: String, _ mark: String, _ bytes: inout ROOTBytes
        ) {
            bytes.mark(mark)
            let counter = leaf.counter.flatMap { counters[$0] }
            let slot = bytes.slot(leaf.className) { bytes in
                bytes.frame(1) { bytes in
                    bytes.frame(2) { bytes in
                        bytes.named(leaf.name, leaf.title)
                        bytes.put(Int32(leaf.length), as: "\(mark): length")
                        bytes.put(Int32(4))
                        bytes.put(Int32(0))
                        bytes.put(UInt8(0))
                        bytes.put(UInt8(leaf.isUnsigned ? 1 : 0))
                        bytes.mark("\(mark): counter")
                        if let counter { bytes.reference(counter) } else { bytes.put(UInt32(0)) }
                    }
                    switch leaf.className {
                    case "TLeafElement":
                        bytes.put(Int32(-1))
                        bytes.put(Int32(leaf.type), as: "\(mark): type")
                    case "TLeafS": bytes.zeros(4)
                    case "TLeafL", "TLeafD", "TLeafG": bytes.zeros(16)
                    case "TLeafO", "TLeafB": bytes.zeros(2)
                    default: bytes.zeros(8)
                    }
                }
            }
            leaves.append(slot)
            if isFirst { counters[branch] = slot }
        }
    }
}

extension MadeBasket {
    func headerBytes(_ branch: String, _ tree: String) -> Int {
        ROOTBytes.keyBytes("TBasket", branch, tree, isWide: true) + 19
    }

    /// What follows the key.
    func payload(_ headerBytes: Int) -> ROOTBytes {
        var bytes = ROOTBytes()
        bytes.put(data)
        if let starts {
            bytes.put(Int32(starts.count + 1), as: "offsets")
            for start in starts { bytes.put(Int32(start + headerBytes)) }
            bytes.put(Int32(0))
        }
        return bytes
    }

    private func tail(_ headerBytes: Int, flag: UInt8, _ mark: String) -> ROOTBytes {
        var bytes = ROOTBytes()
        bytes.put(UInt16(3))
        bytes.put(Int32(32_000))
        bytes.put(Int32(starts == nil ? data.count / max(1, entries) : 1000), as: "\(mark): entry bytes")
        bytes.put(Int32(entries), as: "\(mark): entries")
        bytes.put(Int32(headerBytes + data.count), as: "\(mark): end")
        bytes.put(flag, as: "\(mark): flag")
        return bytes
    }

    /// Writes it as a record.
    func write(_ branch: String, _ tree: String, _ mark: String, _ bytes: inout ROOTBytes) {
        let header = headerBytes(branch, tree), payload = payload(header)
        bytes.mark(mark)
        bytes.key(
            className: "TBasket", name: branch, title: tree, stored: payload.count, count: payload.count,
            at: bytes.count, isWide: true, tail: tail(header, flag: 0, mark), as: mark)
        bytes.mark("\(mark): data")
        bytes.put(payload.bytes)
        if let offsets = payload.marks["offsets"] {
            bytes.mark("\(mark): offsets", at: bytes.count - payload.count + offsets)
        }
    }

    /// Writes it into a tree's record.
    func embed(_ branch: String, _ tree: String, _ mark: String, _ bytes: inout ROOTBytes) {
        let header = headerBytes(branch, tree)
        bytes.key(
            className: "TBasket", name: branch, title: tree, stored: -header, count: 0, at: 0, isWide: true,
            tail: tail(header, flag: starts == nil ? 12 : 11, mark), as: mark)
        if let starts, entries > 0 {
            bytes.put(Int32(starts.count), as: "\(mark): offsets")
            for start in starts { bytes.put(Int32(start + header)) }
        }
        bytes.zeros(header)
        bytes.mark("\(mark): data")
        bytes.put(data)
    }
}
