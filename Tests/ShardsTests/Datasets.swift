import ArrowIPC
import Convert
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// Datasets made from the sample, and ways to change them.
enum Datasets {
    static let compressions: [BodyCompression] = [.none, .lz4, .zstd(level: 3)]

    /// Converts the sample into a dataset of several shards and batches.
    @discardableResult
    static func convert(
        _ output: String, _ compression: BodyCompression = .zstd(level: 3),
        _ change: (inout ConversionOptions) -> Void = { _ in }
    ) throws -> Catalogue {
        var options = ConversionOptions()
        options.threads = 2
        options.batchRows = 300
        options.shardBytes = 300_000
        options.compression = compression
        change(&options)
        return try Converter(
            inputs: [Package.sample], output: output, schema: SourceSchema(named: "aspen-open-jets"), options: options
        ).run()
    }

    /// Puts a changed index in the place of the old one, with a catalogue that stands up for it.
    static func replaceIndex(of directory: String, _ change: (inout BatchIndex) -> Void) throws {
        let dataset = try Dataset(directory: directory)
        var index = dataset.index
        change(&index)
        let bytes = try index.fileBytes()
        var catalogue = dataset.catalogue
        catalogue.index.bytes = bytes.count
        catalogue.index.digest = Digest(of: bytes)
        for number in catalogue.parity.indices where catalogue.parity[number].file == "parity/index.arrow" {
            catalogue.parity[number].bytes = bytes.count
            catalogue.parity[number].digest = Digest(of: bytes)
            try OutputFile.write(bytes, to: "\(directory)/parity/index.arrow")
            try OutputFile.write(catalogue.fileBytes(), to: "\(directory)/parity/dataset.json")
        }
        try OutputFile.write(bytes, to: "\(directory)/index.arrow")
        try OutputFile.write(catalogue.fileBytes(), to: "\(directory)/dataset.json")
    }

    /// Flips one bit of a file.
    static func flip(_ path: String, byte: Int, bit: UInt8) throws {
        var bytes = try InputFile(path: path).readAll()
        bytes[byte] ^= 1 << bit
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// The bytes of a record batch's message.
    static func message(_ dataset: Dataset, _ batch: Int) throws -> [UInt8] {
        let record = dataset.record(ofBatch: batch)
        return try InputFile(path: "\(dataset.directory)/\(dataset.shard(ofBatch: batch).file)").read(
            at: record.offset, count: record.bytes)
    }
}
