import Convert
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// Single bits flipped at random places over all files of a dataset.
@Suite struct DamageTests {
    @Test func `every flipped bit is reported, by the reader too where it touches data, and mended without the source`()
        throws
    {
        let seed = UInt64(Package.number("PANDO_SEED", default: Int.random(in: 0...99_999)))
        let directory = try TemporaryDirectory(inMemory: true)
        let original = directory.file("d")
        // Several shards, batches and inputs, and small enough to be verified thousands of times.
        try MadeInput.convert([Package.sample], original) {
            $0.limit = 240
            $0.batchRows = 40
            $0.shardBytes = 60_000
        }
        let files = try contents(of: original)
        let names = files.keys.sorted(), sizes = names.map { files[$0]?.count ?? 0 }
        let total = sizes.reduce(0, +), flips = Package.number("PANDO_FLIPS", default: 2000)
        let threads = Machine.usableCores
        try WorkerThreads.run(threads) { worker in
            var random = Seeded(seed &+ UInt64(worker))
            let copy = directory.file("copy\(worker)")
            try FileManager.default.copyItem(atPath: original, toPath: copy)
            for _ in 0..<(flips + threads - 1) / threads {
                var place = Int.random(in: 0..<total, using: &random)
                let file =
                    sizes.indices.first { index in
                        if place < sizes[index] { return true }
                        place -= sizes[index]
                        return false
                    } ?? 0
                let name = names[file], bit = UInt8.random(in: 0..<8, using: &random)
                var bytes = files[name] ?? Data()
                bytes[place] ^= 1 << bit
                try bytes.write(to: URL(fileURLWithPath: "\(copy)/\(name)"))
                try check(copy, name, place, "seed \(seed), worker \(worker), \(name), byte \(place), bit \(bit)")
                #expect(try Data(contentsOf: URL(fileURLWithPath: "\(copy)/\(name)")) == files[name])
            }
            #expect(try contents(of: copy) == files)
        }
    }

    private func check(_ directory: String, _ name: String, _ place: Int, _ what: Comment) throws {
        let report = try DatasetVerifier(directory: directory).run()
        #expect(!report.isSound, what)
        #expect(report.damage.contains { $0.file == name || name.hasPrefix("parity/") }, what)
        if name.hasPrefix("shards/") { try checkReader(directory, name, place, what) }
        let repaired = try DatasetRepairer(directory: directory).run()
        #expect(repaired.lost.isEmpty, what)
        #expect(!repaired.mended.isEmpty, what)
    }

    /// Of all batches, the reader refuses just the one that the byte belongs to.
    private func checkReader(_ directory: String, _ name: String, _ place: Int, _ what: Comment) throws {
        // Any sound footer gives the schema.
        let dataset = try Dataset(directory: directory)
        let reader = dataset.makeReader()
        for batch in 0..<dataset.batchCount where dataset.shard(ofBatch: batch).file == name {
            let record = dataset.record(ofBatch: batch)
            let isTouched = (record.offset..<record.offset + record.bytes).contains(place)
            do {
                _ = try reader.read(batch)
                #expect(!isTouched, what)
            } catch {
                #expect(isTouched, what)
            }
        }
    }

    @Test func `without parity a shard is made again from the inputs, a footer from the index`() throws {
        let directory = try TemporaryDirectory()
        let output = directory.file("d")
        try MadeInput.convert([Package.sample], output) {
            $0.makesParity = false
            $0.batchRows = 300
            $0.shardBytes = 300_000
        }
        let files = try contents(of: output)
        let catalogue = try Dataset(directory: output).catalogue
        #expect(catalogue.parity.isEmpty)
        func damage(_ name: String, _ place: Int) throws {
            var bytes = files[name] ?? Data()
            bytes[place] ^= 4
            try bytes.write(to: URL(fileURLWithPath: "\(output)/\(name)"))
        }
        let shard = catalogue.shards[1]
        try damage(shard.file, shard.bytes - 20)
        #expect(try DatasetRepairer(directory: output).run().mended.map(\.from) == ["index"])
        try damage(catalogue.index.file, 700)
        #expect(try DatasetRepairer(directory: output).run().mended.map(\.from) == ["footer"])
        #expect(try contents(of: output) == files)

        try damage(shard.file, shard.bytes / 2)
        let lost = try DatasetRepairer(directory: output).run().lost
        #expect(lost.count == 1)
        #expect(lost.first?.rows ?? 0 > 0)
        var repairer = DatasetRepairer(directory: output)
        repairer.remake = { catalogue, shards in
            try Converter.remake(shards: shards, of: catalogue, beside: output, threads: 2)
        }
        #expect(try repairer.run().mended.map(\.from) == ["source"])
        #expect(try contents(of: output) == files)
    }
}
