import Foundation
import HDF5File
import Testing

@Suite(.enabled(if: Peer.isThere, "needs h5py"))
struct DamageTests {
    private let folder: Peer.Folder
    private let path: String
    private let good: [UInt8]

    init() throws {
        folder = try Peer.Folder()
        path = folder("good.h5")
        try Peer.run(
            """
            import h5py, numpy as np
            rng = np.random.default_rng(4)
            a = rng.normal(size=(200, 20, 3)).astype('<f4')
            a[:, 12:] = 0
            with h5py.File(sys.argv[1], 'w') as f:
                f.create_dataset('d', data=a, chunks=(40, 10, 2), maxshape=(None, 20, 3), compression='gzip')
                f.create_dataset('sum', data=a[:, 0], chunks=(64, 3), compression='gzip', fletcher32=True)
            """, [path])
        good = try Peer.read(path)
    }

    private func failure(_ body: () throws -> Void) -> HDF5Error? {
        do {
            try body()
            return nil
        } catch { return error as? HDF5Error }
    }

    /// Writes a changed copy and opens it.
    private func changed(_ change: (inout [UInt8]) -> Void) throws -> HDF5File {
        var bytes = good
        change(&bytes)
        try Peer.write(bytes, folder("changed.h5"))
        return try HDF5File(path: folder("changed.h5"))
    }

    @Test
    func `Files that are not HDF5, are cut short or are not there are told apart`() throws {
        #expect(failure { _ = try HDF5File(path: folder("none.h5")) }?.code == .system(.errno(ENOENT)))
        try Peer.write([], folder("empty.h5"))
        #expect(failure { _ = try HDF5File(path: folder("empty.h5")) }?.code == .notHDF5)
        try Peer.write(Array("root file of another house, quite long enough".utf8), folder("other.h5"))
        let other = try #require(failure { _ = try HDF5File(path: folder("other.h5")) })
        #expect(other.code == .notHDF5)
        #expect(other.description.contains("other.h5"))
        for length in [9, 30, 60, 95, 100, 1000, good.count / 2, good.count - 1] {
            try Peer.write(Array(good.prefix(length)), folder("cut.h5"))
            #expect(failure { _ = try HDF5File(path: folder("cut.h5")) }?.code == .truncated, "\(length) bytes")
        }
    }

    @Test
    func `A dataset that is not there is named, with those that are`() throws {
        let file = try HDF5File(path: path)
        let error = try #require(failure { _ = try file.dataset("PFCands") })
        #expect(error.code == .missingDataset)
        #expect(error.description.contains("PFCands") && error.description.contains("d, sum"))
    }

    @Test
    func `A damaged chunk is named by dataset, coordinates and offset`() throws {
        let chunks = try #require(try HDF5File(path: path).dataset("d").chunks())
        let chunk = chunks[5]
        let address = try #require(chunk.address)
        let file = try changed { $0[address + chunk.storedBytes / 2] ^= 0x10 }
        let reader = try PaddedReader([try file.dataset("d")])
        let error = try #require(failure { _ = try reader.readBand(0, scratch: HDF5Scratch()) })
        #expect(error.code == .damaged)
        let coordinates = zip(chunk.corner, [40, 10, 2]).map { $0 / $1 }
        #expect(error.place == "d, chunk \(coordinates), byte \(address)")
        #expect(error.file.hasSuffix("changed.h5"))
    }

    @Test
    func `A flipped bit under a Fletcher-32 checksum is found`() throws {
        let chunk = try #require(try HDF5File(path: path).dataset("sum").chunks()?.first)
        let address = try #require(chunk.address)
        let file = try changed { $0[address + 20] ^= 1 }
        let error = try #require(failure { _ = try file.dataset("sum").bytes(rows: 0..<10) })
        #expect(error.code == .damaged && error.message.contains("Fletcher-32"))
    }

    @Test
    func `Chunks behind the file's end and of wrong size are damage`() throws {
        let chunk = try #require(try HDF5File(path: path).dataset("d").chunks()?.first)
        let address = try #require(chunk.address)
        // The leaf entry of this chunk: size, mask, four offsets, address.
        func little(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(value >> (8 * $0) & 255) } }
        let pattern = little(UInt64(chunk.storedBytes), 4) + little(0, 4 + 32) + little(UInt64(address), 8)
        let place = try #require(
            (0..<good.count - pattern.count).first { good[$0] == pattern[0] && Array(good[$0..<$0 + 48]) == pattern })
        let changes: [(Int, [UInt8], String)] = [
            (place + 40, little(UInt64(good.count) - 10, 8), "end behind"),
            (place + 40, little(1 << 62, 8), "end behind"),
            (place, little(0xffff_ffff, 4), "claims"),
            (place, little(UInt64(chunk.storedBytes) / 2, 4), "deflate"),
            (place + 4, little(1, 4), "a chunk has"),
        ]
        for (at, bytes, words) in changes {
            let file = try changed { $0.replaceSubrange(at..<at + bytes.count, with: bytes) }
            let error = try #require(failure { _ = try file.dataset("d").bytes(rows: 0..<40) })
            #expect(error.code == .damaged)
            #expect(error.description.contains(words) && error.place.contains("chunk [0, 0, 0]"), "\(error)")
        }
        // Coordinates outside the grid: the index itself is damaged.
        let file = try changed { $0.replaceSubrange(place + 8..<place + 16, with: little(40 * 1000, 8)) }
        let error = try #require(failure { _ = try file.dataset("d").bytes(rows: 0..<40) })
        #expect(error.code == .damaged, "\(error)")
    }

    @Test
    func `Flipped bits in chunks and in their index end in rows or in errors`() throws {
        let rounds = Int(ProcessInfo.processInfo.environment["PANDO_FUZZ_HDF5"] ?? "") ?? 500
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Generator(state: seed)
        // libhdf5 itself is not proof against damaged headers and heaps: only chunk index nodes and chunk data change.
        let original = try HDF5File(path: path)
        var places: [Range<Int>] = []
        for name in ["d", "sum"] {
            for chunk in try #require(try original.dataset(name).chunks()) {
                let address = try #require(chunk.address)
                places.append(address..<address + chunk.storedBytes)
            }
        }
        for start in 0..<good.count - 8 where good[start] == 0x54 {
            // Index nodes are the targets of half of all flips.
            if Array(good[start..<start + 5]) == Array("TREE".utf8) + [1] {
                for _ in 0..<20 { places.append(start..<min(good.count, start + 24 + 30 * 48)) }
            }
        }
        let bytes = try original.dataset("d").bytes(rows: 0..<200)
        var errors = 0
        for round in 0..<rounds {
            let file = try changed { copy in
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let place = Int.random(in: places.randomElement(using: &random) ?? 0..<1, using: &random)
                    copy[place] =
                        Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : copy[place] ^ 1
                }
            }
            for name in ["d", "sum"] {
                let error = failure {
                    let dataset = try file.dataset(name)
                    let found = try dataset.bytes(rows: 0..<200)
                    _ = try dataset.chunks()
                    if name == "d" {
                        let reader = try PaddedReader([dataset])
                        for band in 0..<reader.bandCount { _ = try reader.readBand(band, scratch: HDF5Scratch()) }
                        #expect(found.count == bytes.count, "seed \(seed), round \(round)")
                    }
                }
                if let error {
                    errors += 1
                    #expect(error.file.hasSuffix("changed.h5"), "seed \(seed), round \(round): \(error)")
                }
            }
        }
        #expect(errors > rounds / 4, "seed \(seed)")
    }

    /// SplitMix64.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }
}
