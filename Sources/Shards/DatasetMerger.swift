import Foundation
import Support

/// Makes one dataset out of several without touching their shards: the catalogue names them by relative paths.
public struct DatasetMerger: Sendable {
    /// The datasets, in the order of the rows.
    public let parts: [String]
    /// The directory of the new dataset.
    public let directory: String

    /// A merger of datasets into a new directory.
    public init(parts: [String], into directory: String) {
        self.parts = parts
        self.directory = directory
    }

    /// Merges.
    /// - Throws: `DatasetError`: `occupied` if the directory holds something, `inconsistent` if columns or encodings
    ///   differ, or if tasks of one conversion are missing; whatever opening the parts throws.
    public func run() throws -> Catalogue {
        guard !parts.isEmpty else { throw DatasetError(.usage, file: directory, message: "no datasets to merge") }
        if let names = try Directory.names(in: directory), !names.isEmpty {
            throw DatasetError(.occupied, file: directory, message: "is not empty", advice: "choose another name")
        }
        let datasets = try parts.map { try Dataset(directory: $0) }
        guard let first = datasets.first?.catalogue else {
            throw DatasetError(.usage, file: directory, message: "nothing to merge")
        }
        for (path, dataset) in zip(parts, datasets) { try check(dataset.catalogue, fits: first, path: path) }
        try checkTasks(datasets)

        var shards: [ShardEntry] = []
        var parity: [FileEntry] = []
        var inputs: [InputEntry] = []
        var merged = first
        // Tasks of one conversion number the same inputs alike.
        let sharesInputs = first.provenance.options["task"] != nil
        for (path, dataset) in zip(parts, datasets) {
            let prefix = Self.relative(from: directory, to: path)
            for var shard in dataset.catalogue.shards {
                shard.file = "\(prefix)/\(shard.file)"
                shard.sourceOffset += sharesInputs ? 0 : inputs.count
                shards.append(shard)
            }
            parity += dataset.catalogue.parity.filter { $0.file.hasSuffix(".par") }.map {
                FileEntry(file: "\(prefix)/\($0.file)", bytes: $0.bytes, digest: $0.digest)
            }
            inputs =
                sharesInputs
                ? try Self.union(inputs, dataset.catalogue.provenance.inputs, path)
                : inputs + dataset.catalogue.provenance.inputs
        }
        for other in datasets.dropFirst().map(\.catalogue) { Self.add(other, to: &merged, sharesInputs: sharesInputs) }
        let index = BatchIndex(
            keys: first.keys, splits: first.splits?.parts.map(\.name) ?? [], shards: datasets.flatMap(\.index.shards))
        let indexBytes = try index.fileBytes()
        merged.shards = shards
        merged.provenance.inputs = inputs
        merged.provenance.command = "index"
        merged.provenance.options["parts"] = parts.joined(separator: " ")
        merged.provenance.options["task"] = nil
        merged.fingerprint = CatalogueFiles.fingerprint(of: index.shards)
        merged.index = FileEntry(
            file: CatalogueFiles.indexName, bytes: indexBytes.count, digest: Digest(of: indexBytes))
        let makesCopies = !parity.isEmpty
        if makesCopies {
            parity.append(
                FileEntry(file: CatalogueFiles.indexCopy, bytes: indexBytes.count, digest: Digest(of: indexBytes)))
        }
        merged.parity = parity
        try Directory.make(directory)
        try CatalogueFiles.publish(merged, index: indexBytes, directory: directory, makesCopies: makesCopies)
        return merged
    }

    private func check(_ catalogue: Catalogue, fits first: Catalogue, path: String) throws {
        guard catalogue.columns.map({ [$0.name, $0.type] }) == first.columns.map({ [$0.name, $0.type] }),
            catalogue.encoding == first.encoding, catalogue.keys == first.keys
        else {
            throw DatasetError(
                .inconsistent, file: path, message: "has other columns or another encoding than \(parts[0])",
                advice: "convert them with one schema")
        }
    }

    /// If the parts are tasks of one conversion, all of them must be there, once.
    private func checkTasks(_ datasets: [Dataset]) throws {
        let tasks = datasets.compactMap { $0.catalogue.provenance.options["task"] }
        guard let count = tasks.first?.split(separator: "/").last.flatMap({ Int($0) }), tasks.count == datasets.count
        else { return }
        let missing = (0..<count).filter { !tasks.contains("\($0)/\(count)") }
        guard missing.isEmpty else {
            throw DatasetError(
                .inconsistent, file: directory,
                message: "tasks \(missing.map { "\($0)/\(count)" }.joined(separator: ", ")) are missing",
                advice: "run them, then index again")
        }
        guard Set(tasks).count == tasks.count else {
            throw DatasetError(
                .inconsistent, file: directory, message: "a task is given twice: \(tasks.joined(separator: ", "))")
        }
    }

    /// The inputs of a task joined with those of the tasks before it: the same files, with more of their rows.
    private static func union(_ before: [InputEntry], _ entries: [InputEntry], _ path: String) throws -> [InputEntry] {
        guard !before.isEmpty else { return entries }
        guard before.map({ [$0.name, $0.headTailDigest.hex] }) == entries.map({ [$0.name, $0.headTailDigest.hex] })
        else {
            throw DatasetError(.inconsistent, file: path, message: "is a task of a conversion of other inputs")
        }
        return zip(before, entries).map { old, new in
            var joined = old
            joined.firstRow =
                old.rowsTaken == 0 ? new.firstRow : new.rowsTaken == 0 ? old.firstRow : min(old.firstRow, new.firstRow)
            joined.rowsTaken = old.rowsTaken + new.rowsTaken
            return joined
        }
    }

    private static func add(_ other: Catalogue, to merged: inout Catalogue, sharesInputs: Bool) {
        merged.rows += other.rows
        merged.constituents += other.constituents
        merged.bytes += other.bytes
        merged.fullJets += other.fullJets
        merged.emptyJets = merged.emptyJets.flatMap { own in other.emptyJets.map { own + $0 } }
        merged.missing += other.missing
        merged.exceptions.merge(other.exceptions) { $0 + $1 }
        merged.features = Array(Set(merged.features).union(other.features)).sorted()
        for (index, column) in other.columns.enumerated() {
            merged.columns[index].bytes += column.bytes
            if let found = column.statistics {
                var sum = merged.columns[index].statistics ?? ColumnStatistics()
                sum.merge(found)
                merged.columns[index].statistics = sum
            }
        }
        // Tasks of one conversion all count the same events, and only the jets that they took are their own.
        for (index, cut) in other.cutFlow.enumerated()
        where merged.cutFlow.indices.contains(index) && (!sharesInputs || cut.name == CutFlowEntry.taken) {
            merged.cutFlow[index].passed += cut.passed
        }
        if let generator = other.generator, !sharesInputs {
            var sum = merged.generator ?? GeneratorSums(match: generator.match)
            sum.add(generator)
            merged.generator = sum
        }
        for remark in other.remarks ?? [] where merged.remarks?.contains(remark) != true {
            merged.remarks = (merged.remarks ?? []) + [remark]
        }
        if let parts = other.splits?.parts {
            for (index, part) in parts.enumerated() where merged.splits?.parts.indices.contains(index) == true {
                merged.splits?.parts[index].rows += part.rows
            }
        }
    }

    /// The relative path from one directory to another.
    static func relative(from base: String, to path: String) -> String {
        let from = URL(fileURLWithPath: base).standardizedFileURL.pathComponents
        let to = URL(fileURLWithPath: path).standardizedFileURL.pathComponents
        let common = zip(from, to).prefix { $0 == $1 }.count
        return (Array(repeating: "..", count: from.count - common) + to[common...]).joined(separator: "/")
    }
}
