import Foundation
import Support

/// Makes one dataset out of several without touching their shards: the catalogue names them by relative paths.
public struct DatasetMerger: Sendable {
    /// The datasets, in the order of the rows; tasks of a conversion come in the order of their numbers, however they are given.
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
    ///   differ, if tasks of one conversion are missing or not finished, or if they were not converted alike (number of tasks,
    ///   options, versions, schema, selection, inputs); whatever opening the parts throws.
    public func run() throws -> Catalogue {
        guard !parts.isEmpty else { throw DatasetError(.usage, file: directory, message: "no datasets to merge") }
        if let names = try Directory.names(in: directory), !names.isEmpty {
            throw DatasetError(.occupied, file: directory, message: "is not empty", advice: "choose another name")
        }
        let (parts, datasets) = try ordered()
        guard let first = datasets.first?.catalogue else {
            throw DatasetError(.usage, file: directory, message: "nothing to merge")
        }
        for (path, dataset) in zip(parts, datasets) {
            try check(dataset.catalogue, fits: first, path: path, than: parts[0])
        }

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

    private func check(_ catalogue: Catalogue, fits first: Catalogue, path: String, than other: String) throws {
        guard catalogue.columns.map({ [$0.name, $0.type] }) == first.columns.map({ [$0.name, $0.type] }),
            catalogue.encoding == first.encoding, catalogue.keys == first.keys
        else {
            throw DatasetError(
                .inconsistent, file: path, message: "has other columns or another encoding than \(other)",
                advice: "convert them with one schema")
        }
    }

    /// Opens the parts. If they are tasks of a conversion, all of them must be there, once, and converted alike; they are put
    /// in order.
    private func ordered() throws -> (paths: [String], datasets: [Dataset]) {
        let opened = try parts.map { path in
            // What has not finished is told below, of all tasks at once.
            Self.isUnfinished(path) ? nil : try Dataset(directory: path)
        }
        let tasks = zip(parts, opened).map { path, dataset in
            dataset.map { ConversionTask($0.catalogue) } ?? Self.unfinishedTask(path)
        }
        guard let first = tasks.firstIndex(where: { $0 != nil }), let model = tasks[first] else {
            return (parts, try zip(parts, opened).map { try $1 ?? Dataset(directory: $0) })
        }
        var byNumber: [Int: Int] = [:]
        for (index, task) in tasks.enumerated() {
            guard let task else {
                throw DatasetError(
                    .inconsistent, file: parts[index],
                    message: Self.isUnfinished(parts[index])
                        ? "its conversion has not finished"
                        : "is not a task of a conversion, but \(parts[first]) is task \(model.label.number)/\(model.label.count)",
                    advice: "join the tasks of a conversion by themselves first")
            }
            let name = "task \(model.label.number)/\(model.label.count) (\(parts[first]))"
            if let difference = task.difference(from: model, called: name) {
                throw DatasetError(
                    .inconsistent, file: parts[index],
                    message: "task \(task.label.number)/\(task.label.count) \(difference)",
                    advice: "convert all tasks with the same inputs, options and version")
            }
            if let other = byNumber.updateValue(index, forKey: task.label.number) {
                throw DatasetError(
                    .inconsistent, file: parts[index],
                    message:
                        "task \(task.label.number)/\(task.label.count) is given twice, the other is \(parts[other])",
                    advice: "leave one of them out")
            }
        }
        func fail(_ numbers: [Int], _ what: String) throws {
            guard !numbers.isEmpty else { return }
            throw DatasetError(
                .inconsistent, file: directory,
                message: "\(numbers.count == 1 ? "task" : "tasks") \(TaskRanges.text(numbers)) of \(model.label.count) "
                    + "\(numbers.count == 1 ? "is" : "are") \(what)",
                advice: "run \(numbers.count == 1 ? "it" : "them"), then index again ('pando status' shows all tasks)")
        }
        try fail((0..<model.label.count).filter { byNumber[$0] == nil }, "missing")
        try fail(byNumber.filter { opened[$0.value] == nil }.map(\.key), "not finished")
        let order = byNumber.sorted { $0.key < $1.key }.map(\.value)
        return (order.map { parts[$0] }, order.compactMap { opened[$0] })
    }

    private static func isUnfinished(_ path: String) -> Bool {
        !Directory.exists("\(path)/\(Catalogue.fileName)")
            && ["ledger", Claim.fileName].contains { Directory.exists("\(path)/\($0)") }
    }

    private static func unfinishedTask(_ path: String) -> ConversionTask? {
        let ledger = "\(path)/\(Ledger.fileName)"
        guard let bytes = try? InputFile(path: ledger).readAll(), let work = Ledger.lines(bytes).first else {
            return nil
        }
        return ConversionTask(work: work.content)
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
        // Tasks of one conversion have all left out the same inputs.
        merged.missing += sharesInputs ? other.missing.filter { !merged.missing.contains($0) } : other.missing
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
