import CPando
import Foundation
import Shards
import Support

/// What is told of a dataset.
private struct DatasetDescription: Encodable {
    /// A column that can be read.
    struct Field: Encodable {
        var name: String
        var type: ElementType
        var role: ColumnRole
        var unit: String?
        var description: String?
        var isDerived: Bool
    }

    var catalogue: Catalogue
    var fields: [Field]

    init(_ dataset: Dataset) {
        catalogue = dataset.catalogue
        var meanings = Self.meanings(in: dataset.catalogue.provenance.schema)
        for column in dataset.catalogue.columns where meanings[column.name] == nil {
            meanings[column.name] = (column.unit, column.description)
        }
        let sources = Set(dataset.catalogue.encoding.fields.map(\.name))
        fields = dataset.wholeEncoding.fields.map { field in
            Field(
                name: field.name, type: field.type, role: field.role, unit: meanings[field.name]?.unit,
                description: meanings[field.name]?.description, isDerived: !sources.contains(field.name))
        }
    }

    /// Units and descriptions by the names of columns, wherever a source schema has them: each source has its own form of it.
    private static func meanings(in schema: JSONValue) -> [String: (unit: String?, description: String?)] {
        switch schema {
        case .array(let items):
            return items.reduce(into: [:]) { $0.merge(meanings(in: $1)) { first, _ in first } }
        case .object(let members):
            var found = members.values.reduce(into: [String: (unit: String?, description: String?)]()) {
                $0.merge(meanings(in: $1)) { first, _ in first }
            }
            if let name = schema["name"]?.string, schema["description"] != nil || schema["unit"] != nil {
                found[name] = (schema["unit"]?.string, schema["description"]?.string)
            }
            return found
        default: return [:]
        }
    }
}

@c(pando_version) @implementation
public func pando_version() -> UnsafePointer<CChar> { Handle.version }

@c(pando_error) @implementation
public func pando_error() -> UnsafePointer<CChar> { Failure.text }

@c(pando_error_details) @implementation
public func pando_error_details() -> UnsafePointer<CChar> { Failure.details }

@c(pando_string_release) @implementation
public func pando_string_release(_ text: UnsafeMutablePointer<CChar>?) { text?.deallocate() }

@c(pando_dataset_open) @implementation
public func pando_dataset_open(_ directory: UnsafePointer<CChar>) -> OpaquePointer? {
    Failure.orNull { Handle.open(try Dataset(directory: String(cString: directory))) }
}

@c(pando_dataset_close) @implementation
public func pando_dataset_close(_ dataset: OpaquePointer) { Handle.close(dataset, Dataset.self) }

@c(pando_dataset_rows) @implementation
public func pando_dataset_rows(_ dataset: OpaquePointer) -> Int64 {
    Int64(Handle.get(dataset, Dataset.self).firstRows.last ?? 0)
}

@c(pando_dataset_describe) @implementation
public func pando_dataset_describe(_ dataset: OpaquePointer) -> UnsafeMutablePointer<CChar>? {
    let dataset = Handle.get(dataset, Dataset.self)
    return Failure.textOrNull {
        try CanonicalJSON.text(DatasetDescription(dataset))
    }
}

@c(pando_dataset_read) @implementation
public func pando_dataset_read(
    _ dataset: OpaquePointer, _ first: Int64, _ count: Int64, _ columns: UnsafePointer<CChar>?
) -> OpaquePointer? {
    let dataset = Handle.get(dataset, Dataset.self)
    return Failure.orNull {
        guard first >= 0, count >= 0, count <= Int64.max - first else {
            throw DatasetError(
                .usage, file: dataset.directory, place: "rows", message: "\(count) from \(first) on make no sense")
        }
        let names = try columns.map { try JSONDecoder().decode([String].self, from: Data(String(cString: $0).utf8)) }
        return Handle.open(try JetRows(dataset, rows: Int(first)..<Int(first + count), columns: names))
    }
}

@c(pando_jets_column) @implementation
public func pando_jets_column(
    _ jets: OpaquePointer, _ number: Int32, _ column: UnsafeMutablePointer<pando_array>
) -> Int32 {
    let jets = Handle.get(jets, JetRows.self)
    guard jets.fields.indices.contains(Int(number)) else { return -1 }
    let field = jets.fields[Int(number)]
    column.pointee = pando_array(jets.bytes(of: Int(number)), field.type, field.role)
    return 0
}

@c(pando_jets_offsets) @implementation
public func pando_jets_offsets(_ jets: OpaquePointer) -> UnsafePointer<Int32> {
    Handle.get(jets, JetRows.self).firstOffset
}

@c(pando_jets_close) @implementation
public func pando_jets_close(_ jets: OpaquePointer) { Handle.close(jets, JetRows.self) }

@c(pando_dataset_verify) @implementation
public func pando_dataset_verify(
    _ directory: UnsafePointer<CChar>, _ lossless: Int32, _ threads: Int32, _ progress: pando_progress?,
    _ context: UnsafeMutableRawPointer?
) -> UnsafeMutablePointer<CChar>? {
    var verifier = DatasetVerifier(directory: String(cString: directory))
    verifier.provesLosslessness = lossless != 0
    verifier.threads = min(1024, max(1, Int(threads)))
    if let progress {
        // The caller answers for what the context may be used for; here it is only handed through.
        let context = UInt(bitPattern: context)
        verifier.progress = { progress(Int64($0), Int64($1), UnsafeMutableRawPointer(bitPattern: context)) == 0 }
    }
    return Failure.textOrNull { try CanonicalJSON.text(try verifier.run()) }
}

extension pando_array {
    /// Values of a type.
    init(_ bytes: UnsafeRawBufferPointer, _ type: ElementType, _ role: ColumnRole) {
        self.init(
            data: UnsafeMutableRawPointer(mutating: bytes.count == 0 ? nil : bytes.baseAddress),
            count: Int64(bytes.count / type.width), type: Int32(ElementType.allCases.firstIndex(of: type) ?? 0),
            per_constituent: role == .constituent ? 1 : 0)
    }
}
