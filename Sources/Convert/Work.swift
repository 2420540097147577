import Foundation
import Shards
import Support

/// What was begun in a directory: compared before it is continued.
struct Work: Codable, Sendable {
    struct Input: Codable, Equatable, Sendable {
        var entry: InputEntry
        /// Nanoseconds since 1970. A change of an input between its head and its tail shows here only.
        var modified: Int64
    }

    var inputs: [Input]
    var options: [String: String]
    var schema: SourceSchema
    var selection: SelectionChoice?
    var encoding: JetEncoding
    var writer: [String: String]

    init(
        entries: [InputEntry], options: [String: String], schema: SourceSchema, selection: SelectionChoice?,
        encoding: JetEncoding, writer: [String: String], areFiles: Bool = true
    ) throws {
        self.selection = selection
        inputs = try entries.map {
            Input(entry: $0, modified: areFiles ? try InputFile(path: $0.name).modified : 0)
        }
        self.options = options
        self.schema = schema
        self.encoding = encoding
        self.writer = writer
    }

    /// What differs, in words.
    func difference(from text: String) -> String {
        guard let before = try? JSONDecoder().decode(Work.self, from: Data(text.utf8)) else {
            return "it was begun by another version of the program"
        }
        for (old, new) in zip(before.inputs, inputs) where old != new {
            if old.entry.name != new.entry.name {
                return "it has the input \(old.entry.name) in place of \(new.entry.name)"
            }
            if old.entry.firstRow != new.entry.firstRow || old.entry.rowsTaken != new.entry.rowsTaken { continue }
            return
                "the input \(new.entry.name) has changed since (it had \(old.entry.bytes) bytes, now \(new.entry.bytes))"
        }
        if before.inputs.count != inputs.count { return "it has \(before.inputs.count) inputs, not \(inputs.count)" }
        for (name, value) in before.options.sorted(by: { $0.key < $1.key }) where options[name] != value {
            return "it has \(name) \(value), not \(options[name] ?? "none")"
        }
        if let name = options.keys.sorted().first(where: { before.options[$0] == nil }) { return "it has no \(name)" }
        if before.writer != writer { return "it was begun by \(before.writer), this is \(writer)" }
        if before.selection != selection { return "its selection, golden JSON or match differs" }
        return before.schema == schema ? "its encoding differs" : "its schema differs"
    }
}

extension Converter {
    /// What a dataset has that this conversion would not make, in words; nil if it has the same inputs, options and schema.
    public func difference(from catalogue: Catalogue) throws -> String? {
        let provenance = catalogue.provenance
        guard provenance.command == "convert" else { return "it was made by 'pando \(provenance.command)'" }
        let wanted = options.decisive
        for name in Set(wanted.keys).union(provenance.options.keys).sorted()
        where provenance.options[name] != wanted[name] {
            return "it has \(name) \(provenance.options[name] ?? "none"), not \(wanted[name] ?? "none")"
        }
        guard provenance.schema == (try JSONValue(encoding: schema)) else { return "its schema differs" }
        guard provenance.selection == (try selection().map { try JSONValue(encoding: $0) }) else {
            return "its selection, golden JSON or match differs"
        }
        let skipped = Set(catalogue.missing.filter { $0.firstRow == nil }.map(\.input))
        let names = inputs.filter { !skipped.contains($0) }
        guard names.count == provenance.inputs.count else {
            return "it has \(provenance.inputs.count) inputs, not \(names.count)"
        }
        for (name, entry) in zip(names, provenance.inputs) {
            guard name == entry.name else { return "it has the input \(entry.name) in place of \(name)" }
            guard (try? InputFile(path: name).size) == entry.bytes,
                (try? InputFile.headTailDigest(name)) == entry.headTailDigest
            else { return "the input \(name) has changed since, or cannot be read" }
        }
        return nil
    }
}
