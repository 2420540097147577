import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

/// Damaged files: errors or values, never a crash, a hang or absurd memory.
@Suite(.serialized) struct FuzzTests {
    private static let count = Package.number("PANDO_FUZZ_TENSORS", default: 4000)
    private static let seed: UInt64 = {
        ProcessInfo.processInfo.environment["PANDO_FUZZ_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
    }()

    private static let extremes: [UInt64] = [
        0, 1, .max, .max >> 1, 1 << 63, 1 << 62, 1 << 31, 1 << 32, 1 << 20, .max - 7, 0xffff_ffff, 0xffff, 0x7fff_ffff,
    ]

    private static func mutate(_ bytes: inout [UInt8], donor: [UInt8], _ random: inout Seeded) {
        guard bytes.count > 1 else { return }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let end = min(bytes.count, place + Int.random(in: 1...100, using: &random))
        switch Int.random(in: 0..<7, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2: bytes.removeSubrange(place..<end)
        case 3: if Bool.random(using: &random) { bytes.removeSubrange(place...) }
        case 4:
            let from = Int.random(in: 0..<donor.count, using: &random)
            let piece = donor[from..<min(donor.count, from + Int.random(in: 1...100, using: &random))]
            bytes.replaceSubrange(place..<min(bytes.count, place + piece.count), with: piece)
        case 5: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
        default:
            let number = extremes[Int.random(in: 0..<extremes.count, using: &random)]
            let piece = littleEndian(number).prefix([1, 2, 4, 8][Int.random(in: 0..<4, using: &random)])
            for (offset, byte) in piece.enumerated() where place + offset < bytes.count { bytes[place + offset] = byte }
        }
    }

    /// Runs `read` on damaged copies, with the number of the original; it gives the outcome's name.
    private static func run(_ originals: [[UInt8]], _ read: (inout Seeded, Int, [UInt8]) -> String) {
        print("PANDO_FUZZ_SEED=\(seed) PANDO_FUZZ_TENSORS=\(count)")
        var random = Seeded(seed), outcomes: [String: Int] = [:]
        let before = Machine.peakMemory
        for _ in 0..<count {
            let number = Int.random(in: 0..<originals.count, using: &random)
            var bytes = originals[number]
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                mutate(&bytes, donor: originals[Int.random(in: 0..<originals.count, using: &random)], &random)
            }
            outcomes[read(&random, number, bytes), default: 0] += 1
        }
        let growth = Machine.peakMemory - before
        print("outcomes \(outcomes), peak memory grew by \(growth >> 20) MiB")
        // Other tests run meanwhile.
        #expect(growth < 512 << 20)
        #expect(outcomes.count > 3)
    }

    /// The first error's code, or "read".
    private static func outcome(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "read"
        } catch let error as SafeTensorsError { return "\(error.code)" } catch { return "not typed: \(error)" }
    }

    private static func readAll(_ store: some TensorStore) throws {
        for name in store.names {
            let entry = try store.entry(name)
            #expect(try store.bytes(name).count == entry.byteCount)
            _ = try? store.floats(name)
            _ = try? store.int64s(name)
        }
    }

    @Test("Damaged safetensors files give errors or values", .timeLimit(.minutes(20)))
    func safetensors() throws {
        let json =
            #"{"__metadata__":{"a":"b\n"},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"#
            + #""e":{"dtype":"F16","shape":[0],"data_offsets":[16,16]},"b":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]}}"#
        let whole = tensorFile(json, [UInt8](0..<19))
        // Whole files, and headers whose length is right whatever happens to them.
        Self.run([whole, Array(json.utf8)]) { _, _, bytes in
            let file =
                bytes.first == UInt8(ascii: "{")
                ? tensorFile(String(decoding: bytes, as: UTF8.self), [UInt8](0..<19)) : bytes
            return Self.outcome { try Self.readAll(SafeTensorsFile(bytes: file)) }
        }
    }

    @Test("Damaged checkpoints give errors or values", .timeLimit(.minutes(20)))
    func checkpoints() throws {
        let files = try [
            "lightning.ckpt", "plain.pt", "protocol4.pt", "other_key.pt", "no_sums.pt", "script.pt", "old.pt",
        ].map {
            try contents(Sample.path($0))
        }
        Self.run(files) { random, _, bytes in
            Self.outcome {
                let isChecking = Int.random(in: 0..<4, using: &random) == 0
                try Self.readEverything(PyTorchCheckpoint(bytes: bytes, isCheckingSums: isChecking))
            }
        }
    }

    @Test("Damaged pickles in archives that are whole give errors or values", .timeLimit(.minutes(20)))
    func pickles() throws {
        let files = try ["lightning.ckpt", "plain.pt", "protocol4.pt"].map { try contents(Sample.path($0)) }
        let storages = try files.map { file in
            try PyTorchCheckpoint(bytes: file).stateDictionary().reduce(into: [String: [UInt8]]()) { storages, entry in
                let storage = entry.tensor.storage
                storages[storage.key] = [UInt8](repeating: 1, count: storage.count * entry.tensor.type.size)
            }
        }
        Self.run(try files.map { try Self.pickle(of: $0) }) { _, number, bytes in
            var zip = Zip(pickle: Pickle { _ in }, storages: storages[number])
            zip.members[0].content = bytes
            let file = zip.bytes
            return Self.outcome { try Self.readEverything(PyTorchCheckpoint(bytes: file)) }
        }
    }

    /// The content of the first member: between the first opcode and the descriptor behind it.
    private static func pickle(of file: [UInt8]) throws -> [UInt8] {
        let start = try #require(file.firstIndex(of: 0x80))
        let end = try #require(file[start...].indices.first { file[$0...].starts(with: [0x50, 0x4b, 7, 8]) })
        return Array(file[start..<end])
    }

    private static func readEverything(_ checkpoint: PyTorchCheckpoint) throws {
        var budget = 10_000
        walk(checkpoint.root, depth: 0, &budget)
        _ = checkpoint.optimizerStates
        _ = checkpoint.hyperParameters?["partial"]?.object?.partial
        _ = try checkpoint.stateDictionary()
        try readAll(checkpoint)
    }

    private static func walk(_ value: PickleValue, depth: Int, _ budget: inout Int) {
        budget -= 1
        guard depth < 50, budget > 0 else { return }
        _ = value.summary
        if let items = value.list { for item in items.prefix(100) { walk(item, depth: depth + 1, &budget) } }
        if let entries = value.dictionary {
            for (key, value) in entries.prefix(100) {
                walk(key, depth: depth + 1, &budget)
                walk(value, depth: depth + 1, &budget)
            }
        }
        if let object = value.object {
            _ = object.partial
            for item in object.arguments.prefix(100) { walk(item, depth: depth + 1, &budget) }
            walk(object.state, depth: depth + 1, &budget)
            walk(object.keywords, depth: depth + 1, &budget)
            walk(.list(object.items), depth: depth + 1, &budget)
            walk(.dictionary(object.entries), depth: depth + 1, &budget)
        }
    }
}
