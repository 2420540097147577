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
        let parts = try ordered()
        var whole: Catalogue?
        var shards: [ShardEntry] = [], parity: [FileEntry] = [], inputs: [InputEntry] = []
        var records: [[BatchRecord]] = []
        // One after the other: each task of a conversion lists all inputs, and catalogues of hundreds would fill the memory.
        for path in parts {
            let dataset = try Dataset(directory: path), catalogue = dataset.catalogue
            // Tasks of one conversion number the same inputs alike.
            let sharesInputs = (whole ?? catalogue).provenance.options["task"] != nil
            if let first = whole { try check(catalogue, fits: first, path: path, than: parts[0]) }
            let prefix = Self.relative(from: directory, to: path)
            for var shard in catalogue.shards {
                shard.file = "\(prefix)/\(shard.file)"
                shard.sourceOffset += sharesInputs ? 0 : inputs.count
                shards.append(shard)
            }
            parity += catalogue.parity.filter { $0.file.hasSuffix(".par") }.map {
                FileEntry(file: "\(prefix)/\($0.file)", bytes: $0.bytes, digest: $0.digest)
            }
            records += dataset.index.shards
            if sharesInputs {
                try Self.join(catalogue.provenance.inputs, to: &inputs, path)
            } else {
                inputs += catalogue.provenance.inputs
            }
            if whole == nil { whole = catalogue } else { whole?.add(catalogue, sharesInputs: sharesInputs) }
        }
        guard var merged = whole else {
            throw DatasetError(.usage, file: directory, message: "nothing to merge")
        }
        let index = BatchIndex(
            keys: merged.keys, splits: merged.splits?.parts.map(\.name) ?? [], shards: records)
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

    /// The parts in the order in which they are joined. If they are tasks of a conversion, all of them must be there, once, and
    /// converted alike.
    private func ordered() throws -> [String] {
        var model: (task: ConversionTask, path: String)?, strangers: [String] = [], unfinished: [Int] = []
        var byNumber: [Int: String] = [:]
        for path in parts {
            // What has not finished is told below, of all tasks at once.
            let isUnfinished = Self.isUnfinished(path)
            let found = try isUnfinished ? Self.unfinishedTask(path) : ConversionTask(Dataset.readCatalogue(path))
            guard let task = found else {
                strangers.append(path)
                continue
            }
            let label = task.label
            if let model {
                let name = "task \(model.task.label.number)/\(model.task.label.count) (\(model.path))"
                if let difference = task.difference(from: model.task, called: name) {
                    throw DatasetError(
                        .inconsistent, file: path, message: "task \(label.number)/\(label.count) \(difference)",
                        advice: "convert all tasks with the same inputs, options and version")
                }
            } else {
                model = (task, path)
            }
            if isUnfinished { unfinished.append(label.number) }
            if let other = byNumber.updateValue(path, forKey: label.number) {
                throw DatasetError(
                    .inconsistent, file: path,
                    message: "task \(label.number)/\(label.count) is given twice, the other is \(other)",
                    advice: "leave one of them out")
            }
        }
        guard let model else { return parts }
        let label = model.task.label
        if let stranger = strangers.first {
            throw DatasetError(
                .inconsistent, file: stranger,
                message: Self.isUnfinished(stranger)
                    ? "its conversion has not finished"
                    : "is not a task of a conversion, but \(model.path) is task \(label.number)/\(label.count)",
                advice: "join the tasks of a conversion by themselves first")
        }
        func fail(_ numbers: [Int], _ what: String) throws {
            guard !numbers.isEmpty else { return }
            throw DatasetError(
                .inconsistent, file: directory,
                message: "\(numbers.count == 1 ? "task" : "tasks") \(TaskRanges.text(numbers)) of \(label.count) "
                    + "\(numbers.count == 1 ? "is" : "are") \(what)",
                advice: "run \(numbers.count == 1 ? "it" : "them"), then index again ('pando status' shows all tasks)")
        }
        try fail((0..<label.count).filter { byNumber[$0] == nil }, "missing")
        try fail(unfinished, "not finished")
        return byNumber.sorted { $0.key < $1.key }.map(\.value)
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

    /// Joins the inputs of a task to those of the tasks before it: the same files, with more of their rows.
    private static func join(_ entries: [InputEntry], to inputs: inout [InputEntry], _ path: String) throws {
        guard !inputs.isEmpty else { return inputs = entries }
        guard inputs.count == entries.count,
            zip(inputs, entries).allSatisfy({ $0.name == $1.name && $0.headTailDigest == $1.headTailDigest })
        else {
            throw DatasetError(.inconsistent, file: path, message: "is a task of a conversion of other inputs")
        }
        for (index, new) in entries.enumerated() {
            let old = (first: inputs[index].firstRow, taken: inputs[index].rowsTaken)
            inputs[index].firstRow =
                old.taken == 0 ? new.firstRow : new.rowsTaken == 0 ? old.first : min(old.first, new.firstRow)
            inputs[index].rowsTaken = old.taken + new.rowsTaken
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

extension Catalogue {
    /// Takes in the jets of another dataset; shards, inputs and index are the merger's.
    /// - Parameter sharesInputs: Whether both are tasks of one conversion.
    fileprivate mutating func add(_ other: Catalogue, sharesInputs: Bool) {
        rows += other.rows
        constituents += other.constituents
        bytes += other.bytes
        fullJets += other.fullJets
        emptyJets = emptyJets.flatMap { own in other.emptyJets.map { own + $0 } }
        // Tasks of one conversion have all left out the same inputs.
        missing += sharesInputs ? other.missing.filter { !missing.contains($0) } : other.missing
        exceptions.merge(other.exceptions) { $0 + $1 }
        features = Array(Set(features).union(other.features)).sorted()
        for (index, column) in other.columns.enumerated() {
            columns[index].bytes += column.bytes
            if let found = column.statistics {
                var sum = columns[index].statistics ?? ColumnStatistics()
                sum.merge(found)
                columns[index].statistics = sum
            }
        }
        // Tasks of one conversion all count the same events, and only the jets that they took are their own.
        for (index, cut) in other.cutFlow.enumerated()
        where cutFlow.indices.contains(index) && (!sharesInputs || cut.name == CutFlowEntry.taken) {
            cutFlow[index].passed += cut.passed
        }
        if let other = other.generator, !sharesInputs {
            var sum = generator ?? GeneratorSums(match: other.match)
            sum.add(other)
            generator = sum
        }
        for remark in other.remarks ?? [] where remarks?.contains(remark) != true {
            remarks = (remarks ?? []) + [remark]
        }
        for (index, part) in (other.splits?.parts ?? []).enumerated()
        where splits?.parts.indices.contains(index) == true {
            splits?.parts[index].rows += part.rows
        }
    }
}
