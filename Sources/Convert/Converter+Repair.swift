import ArrowIPC
import Foundation
import Shards
import Support

extension Converter {
    /// Converts the inputs of a dataset again, as its catalogue says they were, to mend its shards.
    ///
    /// The conversion is deterministic: a shard made again has the digest of the lost one, if inputs and versions are
    /// the same. The files lie in a directory beside the dataset, which the caller's next conversion or this one's
    /// return replaces; each is removed when it has been used.
    /// - Returns: Files by number of shard; none if the inputs are gone or have changed.
    public static func remake(shards: [Int], of catalogue: Catalogue, beside directory: String, threads: Int) throws
        -> [Int: Data]
    {
        let provenance = catalogue.provenance
        guard provenance.command == "convert", let schema = try? provenance.schema.decode(SourceSchema.self),
            var options = ConversionOptions(decisive: provenance.options, threads: threads)
        else { return [:] }
        if let selection = provenance.selection {
            guard let choice = try? selection.decode(SelectionChoice.self) else { return [:] }
            options.selection = choice
        }
        for input in provenance.inputs {
            guard let file = try? InputFile(path: input.name), file.size == input.bytes,
                try InputFile.headTailDigest(input.name) == input.headTailDigest
            else { return [:] }
        }
        let work = directory + ".repair"
        try? FileManager.default.removeItem(atPath: work)
        defer { try? FileManager.default.removeItem(atPath: work) }
        let remade = try Converter(
            inputs: provenance.inputs.map(\.name), output: work, schema: schema, options: options
        ).run()
        var files: [Int: Data] = [:]
        for shard in shards
        where remade.shards.indices.contains(shard) && remade.shards[shard].digest == catalogue.shards[shard].digest {
            files[shard] = try Data(
                contentsOf: URL(fileURLWithPath: "\(work)/\(remade.shards[shard].file)"), options: .alwaysMapped)
        }
        return files
    }
}

extension ConversionOptions {
    /// The options that a catalogue tells of; nil if they are not those of a conversion.
    init?(decisive: [String: String], threads: Int) {
        self.init()
        func number(_ name: String) -> Int? { decisive[name].flatMap { Int($0) } }
        guard let batchRows = number("batch-rows"), let shardBytes = number("shard-size"),
            let interleave = number("interleave"), let codec = decisive["codec"]
        else { return nil }
        switch codec {
        case "none": compression = .none
        case "lz4": compression = .lz4
        default: compression = .zstd(level: number("level") ?? 3)
        }
        self.batchRows = batchRows
        self.shardBytes = shardBytes
        self.interleave = interleave
        self.threads = threads
        makesParity = decisive["parity"] != "false"
        sharesOffsets = decisive["offsets"] != "separate"
        skipsBadInput = decisive["on-bad-input"] == "skip"
        limit = number("limit")
        let numbers = decisive["task"]?.split(separator: "/").compactMap { Int($0) } ?? []
        if numbers.count == 2 { task = Task(number: numbers[0], of: numbers[1]) }
        splits = (decisive["splits"] ?? "").split(separator: ",").compactMap { part in
            let words = part.split(separator: "=")
            guard words.count == 2, let share = Double(words[1]) else { return nil }
            return (String(words[0]), share)
        }
    }
}
