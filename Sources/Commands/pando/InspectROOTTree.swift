import ROOTFile
import Shards
import Support
import Terminal

/// What `pando inspect` shows of a tree: its branches with types and sizes.
struct ROOTTreeSummary: Encodable {
    /// A branch, or a leaf of one that has several.
    struct Branch: Encodable {
        var path: String
        var className: String
        var title: String
        /// True if a branch before it has the same path: then that one is found by name.
        var isRepeated: Bool?
        /// `float32[nJet]`, `vector<float32>`; null if it is not read.
        var type: String?
        var entries: Int?
        var baskets: Int?
        /// Bytes of all baskets in the file, and decompressed.
        var storedBytes: Int?
        var bytes: Int?
        var codec: String?
        /// XXH3-64 of all values in the machine's order, and of the items before each entry as int64; null where they were
        /// not asked for.
        var digest: Digest?
        var offsetsDigest: Digest?
        /// Why it is not read.
        var refusal: String?
        /// What went wrong in reading it.
        var error: String?
    }

    var path: String
    var title = ""
    var entries = 0
    var branches: [Branch] = []
    /// Why it is not read.
    var refusal: String?
    /// What went wrong in opening it.
    var error: String?

    /// A tree that could not be opened.
    init(path: String, error: ROOTError) {
        self.path = path
        if error.code == .unsupported { refusal = error.message } else { self.error = error.description }
    }

    /// Looks at a tree.
    init(_ tree: ROOTTree, _ options: ROOTSummary.Options) throws(ROOTError) {
        path = tree.name
        title = tree.title
        entries = tree.entries
        let scratch = ROOTScratch()
        for branch in try tree.branches() {
            guard !branch.columns.isEmpty else {
                if options.columns.map({ $0.contains(branch.path) }) ?? true {
                    branches.append(
                        Branch(
                            path: branch.path, className: branch.className, title: branch.title,
                            isRepeated: branch.isRepeated ? true : nil, refusal: branch.refusal?.message ?? "not read"))
                }
                continue
            }
            for column in branch.columns where options.columns.map({ $0.contains(column.name) }) ?? true {
                branches.append(Self.summary(column, branch, tree, options.digests ? scratch : nil))
            }
        }
        if let missing = options.columns?.first(where: { name in !branches.contains { $0.path == name } }) {
            // It says which there are, or that it is below another.
            _ = try tree.column(missing)
        }
    }

    private static func summary(
        _ column: ROOTColumn, _ branch: ROOTBranch, _ tree: ROOTTree, _ scratch: ROOTScratch?
    ) -> Branch {
        var shown = Branch(
            path: column.name, className: branch.className, title: column.title,
            isRepeated: branch.isRepeated ? true : nil, type: column.typeName,
            entries: column.entries, baskets: column.basketStarts.count - 1, storedBytes: column.storedBytes,
            bytes: column.bytes, codec: ROOTSummary.codec(column.compression))
        guard let scratch else { return shown }
        do throws(ROOTError) {
            // A tree may have other branches with fewer entries.
            let all = 0..<min(tree.entries, column.entries)
            let values = try tree.read([column], entries: all, using: scratch)[0]
            shown.digest = Digest(of: values.bytes)
            shown.offsetsDigest = values.offsets.map { Digest(of: UnsafeRawBufferPointer($0)) }
        } catch {
            shown.error = error.description
        }
        return shown
    }

    /// Prints it for people.
    func show() {
        if let trouble = error ?? refusal { return Page.line("tree \(path): \(trouble)") }
        let read = branches.filter { $0.type != nil }
        let name = title.isEmpty || title == path ? path : "\(path) (\(title))"
        Page.line()
        Page.line(
            "tree \(name): \(Format.count(entries)) entries, \(Format.counted(branches.count, "branch")), "
                + "\(Format.bytes(read.reduce(0) { $0 + ($1.storedBytes ?? 0) })) stored")
        Page.table(
            Table(
                columns: [
                    .init(title: "branch"), .init(title: "type"), .init(title: "baskets", isNumber: true),
                    .init(title: "stored", isNumber: true), .init(title: "bytes", isNumber: true),
                    .init(title: "codec", dispensability: 1), .init(title: "title", dispensability: 2),
                ],
                rows: branches.map { branch in
                    [
                        branch.path + (branch.isRepeated == true ? ", again" : ""),
                        branch.type ?? branch.refusal ?? Glyphs.none, branch.baskets.map { "\($0)" } ?? "",
                        branch.storedBytes.map(Format.bytes) ?? "", branch.bytes.map(Format.bytes) ?? "",
                        branch.codec ?? "", branch.title == branch.path ? "" : branch.title,
                    ]
                }))
    }
}

/// Values of branches, entry by entry.
struct ROOTRows {
    private let tree: ROOTTree
    private let columns: [ROOTColumn]

    /// Entries that are read at once.
    private static let slice = 1024

    /// Columns of a tree; all that are read if none are named.
    init(_ tree: ROOTTree, columns names: [String]?) throws(ROOTError) {
        self.tree = tree
        if let names {
            var columns: [ROOTColumn] = []
            for name in names { columns.append(try tree.column(name)) }
            self.columns = columns
        } else {
            columns = try tree.branches().flatMap(\.columns).filter { $0.entries >= tree.entries }
        }
    }

    /// How many entries there are.
    var count: Int { tree.entries }

    /// Calls `body` with the values of each entry.
    /// - Throws: `ROOTError`: `usage` if there are no such entries.
    func visit(_ rows: Range<Int>, _ body: (Int, [(name: String, value: JSONValue)]) -> Void) throws(ROOTError) {
        let scratch = ROOTScratch()
        var first = rows.lowerBound
        repeat {
            let part = first..<min(rows.upperBound, first + Self.slice)
            let values = try tree.read(columns, entries: part, using: scratch)
            for row in part {
                body(row, zip(columns, values).map { ($0.name, Self.value($1, row - part.lowerBound)) })
            }
            first = part.upperBound
        } while first < rows.upperBound
    }

    private static func value(_ values: ROOTValues, _ entry: Int) -> JSONValue {
        let range = values.range(ofEntry: entry)
        if values.element == .string {
            return .string(String(decoding: values.bytes[range], as: UTF8.self))
        }
        let width = values.itemValues
        let items = stride(from: range.lowerBound, to: range.upperBound, by: width).map { start in
            nested(values, start, values.shape[...])
        }
        return values.offsets == nil ? items.first ?? .null : .array(items)
    }

    private static func nested(_ values: ROOTValues, _ start: Int, _ shape: ArraySlice<Int>) -> JSONValue {
        guard let dimension = shape.first else { return number(values, start) }
        let rest = shape.dropFirst(), step = rest.reduce(1, *)
        return .array((0..<dimension).map { nested(values, start + $0 * step, rest) })
    }

    private static func number(_ values: ROOTValues, _ index: Int) -> JSONValue {
        switch values.element {
        case .bool: .bool(values.values(as: UInt8.self)[index] != 0)
        case .int8: .integer(Int64(values.values(as: Int8.self)[index]))
        case .uint8, .string: .integer(Int64(values.values(as: UInt8.self)[index]))
        case .int16: .integer(Int64(values.values(as: Int16.self)[index]))
        case .uint16: .integer(Int64(values.values(as: UInt16.self)[index]))
        case .int32: .integer(Int64(values.values(as: Int32.self)[index]))
        case .uint32: .integer(Int64(values.values(as: UInt32.self)[index]))
        case .int64: .integer(values.values(as: Int64.self)[index])
        case .uint64: JSONValue(values.values(as: UInt64.self)[index])
        case .float32: .number(Double(values.values(as: Float.self)[index]))
        case .float64: .number(values.values(as: Double.self)[index])
        }
    }
}
