import Foundation
import Shards

/// What `make` makes: the tasks of a conversion, whose shards are sparse files.
struct CatalogueConfiguration: Decodable {
    /// Real datasets with record batches of the lengths that come out.
    var seeds: [String]
    /// Where the tasks' datasets come to lie.
    var directory: String
    var jets: Int
    var inputs: Int
    var tasks: Int
    var shards: Int
    var batches: Int
    /// Of so many record batches one has its bytes.
    var stride: Int

    /// Part `number` of a whole, as evenly as can be.
    static func share(_ whole: Int, _ number: Int, _ parts: Int) -> Range<Int> {
        whole * number / parts..<whole * (number + 1) / parts
    }
}

/// Writes the datasets of all tasks, `task-000` and so on.
func make(_ asked: CatalogueConfiguration) throws {
    let hollow = try HollowDataset(seeds: asked.seeds.map { try Dataset(directory: $0) }, stride: asked.stride)
    let seed = hollow.seeds[0].catalogue.provenance.inputs[0]
    var rows = 0, batches = 0, bytes = 0
    for task in 0..<asked.tasks {
        let inputs = (0..<asked.inputs).map { number in
            let jets = CatalogueConfiguration.share(asked.jets, number, asked.inputs).count
            var entry = seed
            entry.name = "/eos/aoj/RunG_batch\(number / 100)/RunG_batch\(number / 100)_\(number).h5"
            entry.bytes = Int(Double(seed.bytes) * Double(jets) / Double(seed.rows))
            entry.rows = jets
            let taken = CatalogueConfiguration.share(jets, task, asked.tasks)
            entry.firstRow = taken.lowerBound
            entry.rowsTaken = taken.count
            return entry
        }
        let own = CatalogueConfiguration.share(asked.shards, task, asked.tasks)
        let first = asked.batches * own.lowerBound / asked.shards
        let shards = own.map { shard in
            CatalogueConfiguration.share(asked.batches, shard, asked.shards).map {
                CatalogueConfiguration.share(asked.jets, $0, asked.batches).count
            }
        }
        let digits = String(task)
        let name = String(repeating: "0", count: max(0, 3 - digits.count)) + digits
        let catalogue = try hollow.write(
            to: "\(asked.directory)/task-\(name)", shards: shards, first: first, inputs: inputs,
            options: ["task": "\(task)/\(asked.tasks)"])
        rows += catalogue.rows
        bytes += catalogue.bytes
        batches += catalogue.shards.reduce(0) { $0 + $1.batches }
    }
    try report(["rows": rows, "batches": batches, "shardBytes": bytes])
}
