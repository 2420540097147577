import Foundation
import ROOTFile
import Shards
import Support

/// A tree with an entry a jet, as JetClass has it, as an input of a conversion.
final class TreeSource: JetSource, BareMeasured {
    let entry: InputEntry
    let slices: SliceMap
    let worstSliceBytes: Int
    let slots = 0
    let absent: Set<String>
    let report: SourceReport
    private let schema: SourceSchema
    private let origin: FileOrigin
    private let opened: Monitor<Opened?>
    private let entries: EntrySlices

    /// The file, open at first; files of later groups need no descriptor yet and are closed.
    private struct Opened: Sendable {
        var tree: ROOTTree
        /// The columns that are read, each with the field of the schema that it is for.
        var columns: [ROOTColumn]
        var fields: [Int]
        /// Baskets that several slices need; nil until something is read.
        var shared: SharedBaskets?
    }

    /// What the file's name and folder say.
    private struct FileOrigin: Sendable {
        /// The number of the class, where no labels are in the file.
        var jetClass: Int?
        /// The number of the split.
        var split: Int?
    }

    /// Opens a file and holds it against the schema.
    /// - Throws: `ROOTError` if it cannot be read, `ConvertError` with code `input` if it does not fit the schema.
    init(path: String, schema: SourceSchema) throws {
        let (fresh, missing) = try Self.open(path, schema)
        self.schema = schema
        opened = Monitor(fresh)
        var origin = FileOrigin(), absent = missing
        var report = SourceReport()
        if let column = schema.split {
            origin.split = Self.split(path, schema)
            if origin.split == nil {
                absent.insert(column)
                report.remarks.append(
                    "no splits: not all inputs lie in folders "
                        + (schema.splits ?? []).joined(separator: ", ") + " or such as train_100M")
            }
        }
        let labels = (schema.classes ?? []).map(\.label)
        if !labels.isEmpty, labels.allSatisfy(missing.contains) {
            guard let number = Self.jetClass(path, schema) else {
                throw ConvertError(
                    .input, file: path, message: "has no labels, and its name tells no class",
                    advice: "names begin with \((schema.classes ?? []).map(\.prefix).joined(separator: ", "))")
            }
            origin.jetClass = number
            absent.subtract(labels)
            report.remarks.append("labels come from the names of the files that have none")
        }
        report.leftOut = Self.leftOut(fresh, schema)
        self.origin = origin
        self.absent = absent
        self.report = report
        let rows = fresh.tree.entries
        entries = try EntrySlices(fresh.columns, of: fresh.tree)
        slices = .starts(entries.starts)
        worstSliceBytes = entries.worstBytes
        let file = try InputFile(path: path)
        entry = InputEntry(
            name: path, bytes: file.size, headTailDigest: try InputFile.headTailDigest(path), rows: rows,
            layout: nil)
    }

    private static func open(_ path: String, _ schema: SourceSchema) throws -> (Opened, missing: Set<String>) {
        let tree = try ROOTFile(path: path).tree(named: schema.tree ?? "tree")
        var opened = Opened(tree: tree, columns: [], fields: [])
        var missing: Set<String> = []
        for (number, field) in schema.fields.enumerated() {
            guard let column = schema.column(field.name), column.from == nil else { continue }
            let name = column.branch ?? column.name
            guard tree.hasBranch(name) || column.optional != true else {
                missing.insert(field.name)
                continue
            }
            let found = try tree.column(name)
            try check(found, fits: field, path)
            opened.columns.append(found)
            opened.fields.append(number)
        }
        let labels = Set((schema.classes ?? []).map(\.label)), unlabelled = missing.intersection(labels)
        guard unlabelled.isEmpty || unlabelled == labels else {
            throw ConvertError(
                .input, file: path, message: "has some labels but not \(unlabelled.sorted().joined(separator: ", "))",
                advice: "all of them are needed, or none")
        }
        return (opened, missing)
    }

    /// Branches that become no column and are no counters of others.
    private static func leftOut(_ opened: Opened, _ schema: SourceSchema) -> [String] {
        let all = opened.tree.branchNames, counters = Set(all.map { "n" + $0 })
        let known = Set(opened.columns.map(\.name)).union(schema.ignore ?? [])
        return all.filter { !known.contains($0) && !counters.contains($0) }
    }

    private static func check(_ found: ROOTColumn, fits field: SourceField, _ path: String) throws {
        let isRight = found.element.elementType == field.type && found.shape.isEmpty
        guard isRight, found.isJagged == (field.role == .constituent) else {
            throw ConvertError(
                .input, file: path, place: "branch \(found.name)",
                message: "holds \(found.typeName), expected \(field.type.rawValue)"
                    + (field.role == .constituent ? " for each constituent" : ""),
                advice: "is it a file of this kind? Another kind needs --schema")
        }
    }

    /// The class that the name of a file tells: what stands before the first underscore.
    private static func jetClass(_ path: String, _ schema: SourceSchema) -> Int? {
        let name = path.split(separator: "/").last ?? ""
        guard let underscore = name.firstIndex(of: "_") else { return nil }
        let prefix = String(name[...underscore])
        return schema.classes?.firstIndex { $0.prefix == prefix }
    }

    /// The split that the folder of a file tells, or the one above: `train`, or as JetClass has it `train_100M`.
    private static func split(_ path: String, _ schema: SourceSchema) -> Int? {
        let folders = URL(fileURLWithPath: path).standardizedFileURL.pathComponents.dropLast().suffix(2).reversed()
        for folder in folders {
            let found = schema.splits?.firstIndex { name in
                folder == name
                    || folder.hasPrefix(name + "_") && (folder.dropFirst(name.count + 1).first?.isNumber ?? false)
            }
            if let found { return found }
        }
        return nil
    }

    private func open() throws -> Opened {
        try opened.update { state in
            if let state, state.shared != nil { return state }
            var fresh = try state ?? Self.open(entry.name, schema).0
            fresh.shared = SharedBaskets(fresh.columns, slices: entries)
            state = fresh
            return fresh
        }
    }

    func close() {
        opened.update { $0 = nil }
    }

    func bareDecoding() throws -> BareDecoding {
        let file = try open()
        return try BareDecoding(file.columns, of: file.tree)
    }

    func read(slice: Int, using scratch: SourceScratch) throws -> RowSlice {
        let rows = slices.rows(slice), file = try open(), fields = schema.fields
        let values = try file.tree.read(file.columns, entries: rows, using: scratch.root, sharing: file.shared)
        var owners: [AnyObject] = values
        var pointers = [UnsafeRawPointer?](repeating: nil, count: fields.count)
        for (field, found) in zip(file.fields, values) { pointers[field] = found.bytes.baseAddress }
        // The first jagged column counts for all.
        var counts: (name: String, offsets: UnsafeBufferPointer<Int64>)?
        for (field, found) in zip(file.fields, values) {
            guard let offsets = found.offsets else { continue }
            if let counts {
                try Self.compare(offsets, counts.offsets, fields[field].name, counts.name, rows, entry.name)
            } else {
                counts = (fields[field].name, offsets)
            }
        }
        try makeColumns(rows, &pointers, &owners)
        func columns(_ isWanted: (ColumnRole) -> Bool) -> [UnsafeRawPointer?] {
            fields.indices.filter { isWanted(fields[$0].role) }.map { pointers[$0] }
        }
        let band = counts.map { counts in
            RowSlice.Band(
                rows: rows, offsets: counts.offsets.map { Int($0) }, columns: columns { $0 == .constituent })
        }
        return RowSlice(
            rows: rows, bands: band.map { [$0] } ?? [], jetColumns: columns { $0 != .constituent }, owners: owners)
    }

    private static func compare(
        _ offsets: UnsafeBufferPointer<Int64>, _ first: UnsafeBufferPointer<Int64>, _ name: String, _ firstName: String,
        _ rows: Range<Int>, _ path: String
    ) throws {
        guard !offsets.elementsEqual(first) else { return }
        let entry = zip(offsets, first).enumerated().first { $1.0 != $1.1 }.map { $0.offset - 1 } ?? 0
        throw ConvertError(
            .input, file: path, place: "branch \(name), entry \(rows.lowerBound + max(0, entry))",
            message: "has \(offsets[entry + 1] - offsets[entry]) values, "
                + "but \(firstName) has \(first[entry + 1] - first[entry])",
            advice: "all constituent branches of a jet must be of one length")
    }

    /// Makes the columns that are no branches: class, split, and labels where the file has none.
    private func makeColumns(
        _ rows: Range<Int>, _ pointers: inout [UnsafeRawPointer?], _ owners: inout [AnyObject]
    ) throws {
        let fields = schema.fields
        func column(_ field: Int) -> UnsafeMutableRawPointer {
            let buffer = AlignedBuffer(capacity: rows.count * fields[field].type.width)
            owners.append(buffer)
            pointers[field] = UnsafeRawPointer(buffer.base)
            return buffer.base
        }
        if let number = origin.jetClass {
            for (index, known) in (schema.classes ?? []).enumerated() {
                guard let field = fields.firstIndex(where: { $0.name == known.label }) else { continue }
                fields[field].type.fill(column(field), rows.count, with: index == number ? 1 : 0)
            }
        }
        for (number, field) in fields.enumerated() {
            switch schema.column(field.name)?.from {
            case .folder?:
                if let split = origin.split { field.type.fill(column(number), rows.count, with: split) }
            case .class?:
                let target = column(number)
                let labels = (schema.classes ?? []).map { known in fields.firstIndex { $0.name == known.label } }
                for row in 0..<rows.count {
                    var found = -1
                    for (index, label) in labels.enumerated() {
                        guard let label, let values = pointers[label], fields[label].type.isOne(values, row) else {
                            continue
                        }
                        // Two classes are none.
                        found = found == -1 ? index : -2
                    }
                    field.type.store(max(-1, found), target, row)
                }
            case .momentum?, .generator?, nil: break
            }
        }
    }
}

extension ROOTElement {
    /// The type of a stored field that holds it; nil for texts.
    var elementType: ElementType? {
        switch self {
        case .bool, .uint8: .uint8
        case .int8: .int8
        case .int16: .int16
        case .uint16: .uint16
        case .int32: .int32
        case .uint32: .uint32
        case .int64: .int64
        case .uint64: .uint64
        case .float32: .float32
        case .float64: .float64
        case .string: nil
        }
    }
}

extension ElementType {
    /// Whether a value is 1.
    fileprivate func isOne(_ values: UnsafeRawPointer, _ row: Int) -> Bool {
        switch self {
        case .int8, .uint8: values.load(fromByteOffset: row, as: UInt8.self) == 1
        case .int16, .uint16: values.load(fromByteOffset: 2 * row, as: UInt16.self) == 1
        case .int32, .uint32: values.load(fromByteOffset: 4 * row, as: UInt32.self) == 1
        case .int64, .uint64: values.load(fromByteOffset: 8 * row, as: UInt64.self) == 1
        case .float32: values.load(fromByteOffset: 4 * row, as: Float.self) == 1
        case .float64: values.load(fromByteOffset: 8 * row, as: Double.self) == 1
        }
    }

    /// Stores a small number.
    fileprivate func store(_ number: Int, _ values: UnsafeMutableRawPointer, _ row: Int) {
        switch self {
        case .int8, .uint8: values.storeBytes(of: Int8(truncatingIfNeeded: number), toByteOffset: row, as: Int8.self)
        case .int16, .uint16:
            values.storeBytes(of: Int16(truncatingIfNeeded: number), toByteOffset: 2 * row, as: Int16.self)
        case .int32, .uint32:
            values.storeBytes(of: Int32(truncatingIfNeeded: number), toByteOffset: 4 * row, as: Int32.self)
        case .int64, .uint64: values.storeBytes(of: Int64(number), toByteOffset: 8 * row, as: Int64.self)
        case .float32: values.storeBytes(of: Float(number), toByteOffset: 4 * row, as: Float.self)
        case .float64: values.storeBytes(of: Double(number), toByteOffset: 8 * row, as: Double.self)
        }
    }

    fileprivate func fill(_ values: UnsafeMutableRawPointer, _ rows: Int, with number: Int) {
        for row in 0..<rows { store(number, values, row) }
    }
}
