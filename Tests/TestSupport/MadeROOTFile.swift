/// Small ROOT files that tests make field by field, so that each can be damaged at a known place. Nothing in them is compressed.
public struct MadeROOTFile: Sendable {
    /// The file.
    public private(set) var content: ROOTBytes

    /// Its bytes.
    public var bytes: [UInt8] { content.bytes }

    /// A file with trees in its top directory, and one in a directory `deep`, if any.
    public init(_ trees: [MadeTree], deep: MadeTree? = nil) {
        var bytes = ROOTBytes()
        let name = "made.root", begin = 100
        let nameBytes = ROOTBytes.keyBytes("TFile", name, "") + name.utf8.count + 2
        Self.header(&bytes, begin: begin, nameBytes: nameBytes)
        bytes.key(className: "TFile", name: name, stored: name.utf8.count + 2 + 60, count: 0, at: begin, as: "file")
        bytes.text(name)
        bytes.text("")
        Self.directory(&bytes, at: begin, nameBytes: nameBytes, as: "top")
        var keys: [(ROOTBytes, mark: String)] = []
        for tree in trees { keys.append((Self.write(tree, &bytes), "list: \(tree.name)")) }
        if let deep {
            let inside = Self.write(deep, &bytes), place = bytes.count
            func key(_ mark: String) -> ROOTBytes {
                var key = ROOTBytes()
                key.key(className: "TDirectory", name: "deep", stored: 60, count: 60, at: place, as: mark)
                return key
            }
            bytes.put(key("deep"))
            Self.directory(&bytes, at: place, nameBytes: key("").count, as: "deep")
            Self.list(&bytes, [inside], name: "deep", directory: "deep")
            keys.append((key("list: deep"), "list: deep"))
        }
        Self.list(&bytes, keys.map(\.0), name: name, directory: "top")
        if let end = bytes.marks["header: end"] { bytes.replace(at: end, with: Int32(bytes.count)) }
        content = bytes
    }

    /// One of everything, in trees `t`, `empty` and `deep/inner`.
    public static func everything(entries: Int = 10) -> MadeROOTFile {
        let counts = (0..<entries).map { Int32($0 * 5 % 4) }
        let items = counts.enumerated().map { entry, count in (0..<count).map { Float(entry * 10) + Float($0) } }
        var late = MadeBranch.vectors("late", items)
        late.embedded = 1
        var lateCounted = MadeBranch.counted("lateCounted", by: "n", items, basket: 6)
        lateCounted.embedded = 1
        var unequal = MadeBranch.int32("short", Array(counts.prefix(entries / 2)), basket: 3)
        unequal.embedded = 1
        var node = MadeBranch("node", [], [])
        node.branches = [.int32("below", counts), .texts("inside", counts.map { "text \($0)" })]
        let branches: [MadeBranch] = [
            .int32("n", counts, basket: 3), .counted("v", by: "n", items), .vectors("vec", items),
            .texts("s", counts.map { String(repeating: "ab", count: Int($0)) }),
            .pairs("p", counts.map { (Float($0) / 4, Int16($0)) }), late, lateCounted, unequal, node,
        ]
        return MadeROOTFile(
            [MadeTree("t", entries: entries, branches), MadeTree("empty", entries: 0, [.int32("x", [])])],
            deep: MadeTree("inner", entries: 3, [.int32("x", [1, 2, 3])]))
    }

    /// Where something is: `t: entries`, `t/x: entries`, `t/x basket 1: end`, `list: t: place`.
    public func place(_ mark: String) -> Int { content.marks[mark] ?? -1 }

    /// Writes a number over what has this mark.
    public mutating func set<Number: FixedWidthInteger>(_ mark: String, to number: Number) {
        content.replace(at: place(mark), with: number)
    }

    /// Writes bytes over what is at a place.
    public mutating func replace(at place: Int, with bytes: [UInt8]) { content.replace(at: place, with: bytes) }

    private static func header(_ bytes: inout ROOTBytes, begin: Int, nameBytes: Int) {
        bytes.put(Array("root".utf8))
        bytes.put(Int32(62_400), as: "header: version")
        bytes.put(Int32(begin), as: "header: begin")
        bytes.put(Int32(0), as: "header: end")
        bytes.zeros(12)
        bytes.put(Int32(nameBytes), as: "header: name bytes")
        bytes.put(UInt8(4))
        bytes.put(Int32(0), as: "header: compression")
        bytes.put(Int32(0), as: "header: streamers")
        bytes.zeros(begin - bytes.count)
    }

    private static func directory(_ bytes: inout ROOTBytes, at place: Int, nameBytes: Int, as mark: String) {
        let start = bytes.count
        bytes.put(Int16(5), as: "\(mark): directory")
        bytes.zeros(8)
        bytes.put(Int32(0), as: "\(mark): bytes of the list")
        bytes.put(Int32(nameBytes))
        bytes.put(Int32(place))
        bytes.put(Int32(0))
        bytes.put(Int32(0), as: "\(mark): place of the list")
        bytes.zeros(60 - (bytes.count - start))
    }

    /// Writes baskets and record of a tree, and gives the key for the list.
    private static func write(_ tree: MadeTree, _ bytes: inout ROOTBytes) -> ROOTBytes {
        var places: [[Int]] = []
        func baskets(_ branch: MadeBranch, _ path: String) {
            var own: [Int] = []
            for (number, basket) in branch.stored.enumerated() {
                if branch.sharesBaskets, let first = own.first {
                    own.append(first)
                    continue
                }
                own.append(bytes.count)
                basket.write(branch.name, tree.name, "\(tree.name)/\(path) basket \(number)", &bytes)
            }
            places.append(own)
            for below in branch.branches { baskets(below, "\(path)/\(below.name)") }
        }
        for branch in tree.branches { baskets(branch, branch.name) }
        let header = ROOTBytes.keyBytes("TTree", tree.name, ""), place = bytes.count
        let payload = tree.payload(keyBytes: header, baskets: places)
        func key(_ mark: String) -> ROOTBytes {
            var key = ROOTBytes()
            key.key(
                className: "TTree", name: tree.name, stored: payload.count, count: payload.count, at: place, as: mark)
            return key
        }
        bytes.mark("\(tree.name): record")
        bytes.put(key(tree.name))
        bytes.mark("\(tree.name): payload")
        bytes.put(payload)
        return key("list: \(tree.name)")
    }

    private static func list(_ bytes: inout ROOTBytes, _ keys: [ROOTBytes], name: String, directory: String) {
        let place = bytes.count, count = 4 + keys.reduce(0) { $0 + $1.count }
        bytes.key(className: "TFile", name: name, stored: count, count: count, at: place, as: "\(directory): list")
        bytes.put(Int32(keys.count), as: "\(directory): keys")
        for key in keys { bytes.put(key) }
        for (mark, value) in [("place of the list", place), ("bytes of the list", bytes.count - place)] {
            if let at = bytes.marks["\(directory): \(mark)"] { bytes.replace(at: at, with: Int32(value)) }
        }
    }
}
