import ArrowIPC
import Foundation
import Support

/// What a repair did.
public struct RepairReport: Codable, Sendable {
    /// Files that were mended, with what mended them.
    public var mended: [Mended] = []
    /// What could not be mended, down to rows.
    public var lost: [Damage] = []

    /// A file that was mended.
    public struct Mended: Codable, Sendable {
        /// The file, relative to the dataset's directory.
        public var file: String
        /// `parity`, `copy`, `footer`, `index` or `source`.
        public var from: String
        /// What was done.
        public var message: String
    }
}

/// Mends a damaged dataset: from parity and copies, from what shards and index say of each other, and last from the source.
///
/// Every mended file is compared with its digest before it takes the place of the damaged one.
public struct DatasetRepairer: Sendable {
    /// The dataset's directory.
    public let directory: String
    /// Makes shards again from the source: gets the numbers of the shards, gives files that may be the ones wanted.
    public var remake: (@Sendable (Catalogue, [Int]) throws -> [Int: Data])?

    /// Whether the work should stop.
    public var isInterrupted: @Sendable () -> Bool = { false }

    /// A repairer for a dataset.
    public init(directory: String) {
        self.directory = directory
    }

    /// Repairs what can be repaired.
    /// - Throws: `DatasetError` if there is no dataset or another process writes to it; `SystemError`.
    public func run() throws -> RepairReport {
        guard Directory.isDirectory(directory) else {
            throw DatasetError(.notADataset, file: directory, message: "no such dataset")
        }
        let claim = try Claim(directory: directory)
        defer { claim.release() }
        var report = RepairReport()
        let catalogue = try repairCatalogue(&report)
        try repairIndex(catalogue, &report)
        let damaged = try repairShards(catalogue, &report)
        try remakeShards(damaged, catalogue, &report)
        try repairParity(catalogue, &report)
        let verified = try DatasetVerifier(directory: directory).run()
        for damage in verified.damage { report.lost.append(damage) }
        return report
    }

    private func path(_ file: String) -> String { "\(directory)/\(file)" }

    private func repairCatalogue(_ report: inout RepairReport) throws -> Catalogue {
        if let sound = try? Dataset.readCatalogue(directory) { return sound }
        let copy = path(CatalogueFiles.catalogueCopy)
        guard Directory.exists(copy) else {
            // Says what is wrong with the catalogue itself, or that there is none.
            _ = try Dataset.readCatalogue(directory)
            throw DatasetError(.notADataset, file: directory, message: "has no readable \(Catalogue.fileName)")
        }
        let bytes = try InputFile(path: copy).readAll()
        let catalogue = try Catalogue(fileBytes: bytes, path: copy)
        try OutputFile.write(bytes, to: path(Catalogue.fileName))
        report.mended.append(
            .init(file: Catalogue.fileName, from: "copy", message: "restored from \(CatalogueFiles.catalogueCopy)"))
        return catalogue
    }

    private func sound(_ entry: FileEntry) -> [UInt8]? {
        guard let bytes = try? InputFile(path: path(entry.file)).readAll(limit: max(1 << 30, entry.bytes)),
            bytes.count == entry.bytes, Digest(of: bytes) == entry.digest
        else { return nil }
        return bytes
    }

    private func repairIndex(_ catalogue: Catalogue, _ report: inout RepairReport) throws {
        guard sound(catalogue.index) == nil else { return }
        if let entry = catalogue.parity.first(where: { $0.file == CatalogueFiles.indexCopy }), let bytes = sound(entry)
        {
            try OutputFile.write(bytes, to: path(catalogue.index.file))
            report.mended.append(
                .init(file: catalogue.index.file, from: "copy", message: "restored from \(entry.file)"))
            return
        }
        // The footers repeat what the index says but for the parts, which follow from the messages.
        guard let shards = try? catalogue.shards.map({ try Self.records(inFooterOf: path($0.file)) }) else { return }
        func restore(_ shards: [[BatchRecord]], _ message: String) throws -> Bool {
            let bytes = try BatchIndex(
                keys: catalogue.keys, splits: catalogue.splits?.parts.map(\.name) ?? [], shards: shards
            ).fileBytes()
            guard Digest(of: bytes) == catalogue.index.digest else { return false }
            try OutputFile.write(bytes, to: path(catalogue.index.file))
            report.mended.append(.init(file: catalogue.index.file, from: "footer", message: message))
            return true
        }
        if try restore(shards, "made again from the shards' footers") { return }
        guard let whole = try? zip(catalogue.shards, shards).map({ try parts(ofShard: $0.file, $1) }) else { return }
        if try restore(whole, "made again from the shards' footers and messages") { return }
        // A merged dataset may have parts for the shards of newer datasets only.
        let mixed = catalogue.shards.indices.map {
            hasParts(ownerOf: catalogue.shards[$0].file) ? whole[$0] : shards[$0]
        }
        _ = try restore(mixed, "made again from the shards' footers and messages")
    }

    /// Whether the index of the dataset that a merged dataset has a shard of notes parts.
    private func hasParts(ownerOf file: String) -> Bool {
        guard file.hasSuffix(".arrow"), let owner = file.ranges(of: "/shards/").last,
            let dataset = try? Dataset(directory: path(String(file[..<owner.lowerBound])))
        else { return false }
        return dataset.index.shards.contains { $0.contains { !$0.parts.isEmpty } }
    }

    /// The record batches of a shard with the digests of their parts, from messages that are as they were written.
    private func parts(ofShard file: String, _ records: [BatchRecord]) throws -> [BatchRecord] {
        let path = path(file)
        let locator = try BufferLocator(schema: ArrowFile(path: path).schema)
        let input = try InputFile(path: path)
        return try records.map { record in
            let message = try input.read(at: record.offset, count: record.bytes)
            guard Digest(of: message) == record.digest else {
                throw DatasetError(.damaged, file: path, message: "a record batch is not as it was written")
            }
            var whole = record
            whole.parts = try message.withUnsafeBytes { try MessageDigests.parts(of: $0, locator: locator) }
            return whole
        }
    }

    /// The record batches that a shard's footer tells of.
    static func records(inFooterOf path: String) throws -> [BatchRecord] {
        let file = try ArrowFile(path: path)
        guard let text = file.footerMetadata.first(where: { $0.key == ShardWriter.metadataKey })?.value else {
            throw DatasetError(.inconsistent, file: path, place: "footer", message: "has no \(ShardWriter.metadataKey)")
        }
        let records = try JSONDecoder().decode([BatchRecord].self, from: Data(text.utf8))
        let numbers = records.flatMap {
            [$0.offset, $0.metadataBytes, $0.bodyBytes, $0.rows, $0.constituents] + $0.splits
        }
        guard numbers.allSatisfy({ (0..<1 << 48).contains($0) }) else {
            throw DatasetError(.inconsistent, file: path, place: "footer", message: "holds a negative or absurd number")
        }
        return records
    }

    /// Mends shards from parity, or a footer from the index.
    /// - Returns: The numbers of the shards that are still damaged.
    private func repairShards(_ catalogue: Catalogue, _ report: inout RepairReport) throws -> [Int] {
        let index = try? Dataset.readIndex(directory, catalogue)
        var damaged: [Int] = []
        for (number, entry) in catalogue.shards.enumerated() {
            if isInterrupted() {
                throw DatasetError(
                    .interrupted, file: directory, message: "stopped", advice: "run the same command again to go on")
            }
            var bytes = (try? InputFile(path: path(entry.file)).readAll(limit: .max)) ?? []
            if bytes.count == entry.bytes, Digest(of: bytes) == entry.digest { continue }
            if let mended = try mend(&bytes, entry, catalogue, index?.shards[number]) {
                try OutputFile.write(bytes, to: path(entry.file))
                report.mended.append(mended)
            } else {
                damaged.append(number)
            }
        }
        return damaged
    }

    private func mend(
        _ bytes: inout [UInt8], _ entry: ShardEntry, _ catalogue: Catalogue, _ batches: [BatchRecord]?
    ) throws -> RepairReport.Mended? {
        let parityFile = Self.parityFile(of: entry)
        if !bytes.isEmpty, let file = catalogue.parity.first(where: { $0.file == parityFile }), let stored = sound(file)
        {
            let parity = try Parity(fileBytes: stored, fileSize: entry.bytes, path: path(file.file))
            let result = parity.repair(&bytes)
            if Digest(of: bytes) == entry.digest {
                return .init(
                    file: entry.file, from: "parity",
                    message:
                        "\(result.mended.count) block\(result.mended.count == 1 ? "" : "s") of \(Parity.blockSize) bytes made again"
                )
            }
        }
        // Without parity, a footer follows from the index and the schema, which any shard of the dataset has.
        guard let batches, bytes.count >= entry.bytes - entry.tail.bytes, let schema = anySchema(catalogue) else {
            return nil
        }
        let head = ArrowFileLayout.head(schema), tail = try ShardWriter.tail(schema: schema, batches: batches)
        guard head.count == entry.head.bytes, tail.count == entry.tail.bytes else { return nil }
        bytes.replaceSubrange(0..<head.count, with: head)
        bytes.replaceSubrange((entry.bytes - tail.count)..., with: tail)
        guard Digest(of: bytes) == entry.digest else { return nil }
        return .init(file: entry.file, from: "index", message: "head and footer made again from index and schema")
    }

    private func anySchema(_ catalogue: Catalogue) -> ArrowSchema? {
        for entry in catalogue.shards {
            if let schema = (try? ArrowFile(path: path(entry.file)))?.schema,
                Digest(of: ArrowFileLayout.head(schema)) == entry.head.digest
            {
                return schema
            }
        }
        return nil
    }

    /// `parity/00003.par` for `shards/00003.arrow`, also below another dataset's directory.
    static func parityFile(of entry: ShardEntry) -> String {
        var parts = entry.file.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, let name = parts.last else { return "" }
        parts[parts.count - 2] = "parity"
        parts[parts.count - 1] = name.replacing(".arrow", with: ".par")
        return parts.joined(separator: "/")
    }

    private func remakeShards(_ damaged: [Int], _ catalogue: Catalogue, _ report: inout RepairReport) throws {
        guard let remake, !damaged.isEmpty else { return }
        for (number, content) in try remake(catalogue, damaged).sorted(by: { $0.key < $1.key }) {
            let entry = catalogue.shards[number]
            let bytes = [UInt8](content)
            guard Digest(of: bytes) == entry.digest else { continue }
            try OutputFile.write(bytes, to: path(entry.file))
            report.mended.append(.init(file: entry.file, from: "source", message: "converted again from the inputs"))
        }
    }

    private func repairParity(_ catalogue: Catalogue, _ report: inout RepairReport) throws {
        for entry in catalogue.parity where sound(entry) == nil {
            if entry.file == CatalogueFiles.indexCopy {
                guard let bytes = sound(catalogue.index) else { continue }
                try OutputFile.write(bytes, to: path(entry.file))
                report.mended.append(
                    .init(file: entry.file, from: "index", message: "copied from \(catalogue.index.file)"))
                continue
            }
            guard let shard = catalogue.shards.first(where: { Self.parityFile(of: $0) == entry.file }),
                let input = try? InputFile(path: path(shard.file)), input.size == shard.bytes
            else { continue }
            let bytes = try Parity.make(fileSize: input.size, read: { try input.read(at: $0, into: $1) }).fileBytes
            guard Digest(of: bytes) == entry.digest else { continue }
            try OutputFile.write(bytes, to: path(entry.file))
            report.mended.append(.init(file: entry.file, from: "shard", message: "made again from \(shard.file)"))
        }
        guard !catalogue.parity.isEmpty else { return }
        let bytes = try InputFile(path: path(Catalogue.fileName)).readAll()
        if (try? InputFile(path: path(CatalogueFiles.catalogueCopy)).readAll()) != bytes {
            try OutputFile.write(bytes, to: path(CatalogueFiles.catalogueCopy))
            report.mended.append(
                .init(
                    file: CatalogueFiles.catalogueCopy, from: "catalogue", message: "copied from \(Catalogue.fileName)")
            )
        }
    }
}
