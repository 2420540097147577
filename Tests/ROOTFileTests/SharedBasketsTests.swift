import Foundation
import ROOTFile
import Support
import TestSupport
import Testing

@Suite struct SharedBasketsTests {
    private static let data = Package.data
    private static var isThere: Bool {
        data.map { FileManager.default.fileExists(atPath: $0 + "/root/pfnano_mc_qcd.root") } ?? false
    }

    private func tree(_ file: String, _ name: String) throws -> ROOTTree {
        try ROOTFile(path: #require(Self.data) + "/" + file).tree(named: name)
    }

    private func columns(_ tree: ROOTTree) throws -> [ROOTColumn] {
        try tree.branches().flatMap(\.columns).filter { $0.entries == tree.entries }
    }

    @Test(
        .enabled(if: isThere, "there are no ROOT files beside the package"),
        arguments: [
            ("root/pfnano_mc_qcd.root", "Events"), ("root/pfnano_data_2016H.root", "Events"),
            ("jetclass/train/TTBar_000.root", "tree"), ("root/zoo/zoo_types_lz4.root", "t"),
            ("root/zoo/zoo_types_none.root", "t"), ("root/zoo/zoo_offset_map_many.root", "t"),
        ])
    func `stretches that share baskets hold what the whole holds, each basket decompressed once`(
        _ file: String, _ name: String
    ) throws {
        let tree = try tree(file, name), columns = try columns(tree)
        let whole = try tree.read(columns, entries: 0..<tree.entries, using: ROOTScratch())
        let slices = try EntrySlices(columns, of: tree, bytes: columns.reduce(0) { $0 + $1.bytes } / 9)
        #expect(slices.starts.count > 2 && slices.starts.first == 0 && slices.starts.last == tree.entries)
        let shared = SharedBaskets(columns, slices: slices)
        let found = Monitor([Int: [ROOTValues]]()), next = Monitor(0)
        try WorkerThreads.run(4) { _ in
            let scratch = ROOTScratch()
            while let slice = next.update({ $0 + 1 < slices.starts.count ? ($0, $0 += 1).0 : nil }) {
                let values = try tree.read(
                    columns, entries: slices.starts[slice]..<slices.starts[slice + 1], using: scratch, sharing: shared)
                found.update { $0[slice] = values }
            }
        }
        let parts = found.read { $0 }.sorted { $0.key < $1.key }.map(\.value)
        #expect(parts.count == slices.starts.count - 1)
        for (index, column) in columns.enumerated() {
            var bytes: [UInt8] = [], counts: [Int64] = []
            for part in parts {
                bytes += Array(part[index].bytes)
                if let offsets = part[index].offsets { counts += zip(offsets.dropFirst(), offsets).map { $0 - $1 } }
            }
            #expect(bytes == Array(whole[index].bytes), "\(column.name)")
            #expect(
                counts == whole[index].offsets.map { o in zip(o.dropFirst(), o).map { $0 - $1 } } ?? [],
                "\(column.name)")
        }
        #expect(shared.heldCount == 0, "baskets are kept after their last use")
        #expect(shared.sharedCount > 0 && shared.decompressedCount == shared.sharedCount)
    }

    @Test(.enabled(if: isThere, "there are no ROOT files beside the package"))
    func `a damaged basket that is shared is named by every stretch that needs it`() throws {
        let directory = try TemporaryDirectory(inMemory: true), path = directory.file("damaged.root")
        let source = try #require(Self.data) + "/root/pfnano_mc_qcd.root"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: source))
        let sound = try ROOTFile(path: source).tree(named: "Events").column("FatJet_pt")
        // The key of the second basket; 34 bytes before its class name it says how long the record is.
        let name = Data("\u{7}TBasket\u{9}FatJet_pt\u{6}Events".utf8)
        let first = try #require(bytes.range(of: name))
        let key = try #require(bytes.range(of: name, in: first.upperBound..<bytes.count)).lowerBound - 34
        let size = bytes[key..<key + 4].reduce(0) { $0 << 8 | Int($1) }
        // Near the end: in its compressed block, which has a checksum.
        bytes[key + size - 20] ^= 0x10
        try bytes.write(to: URL(fileURLWithPath: path))
        let tree = try ROOTFile(path: path).tree(named: "Events")
        let columns = [try tree.column("FatJet_pt")]
        let slices = try EntrySlices(columns, of: tree, bytes: sound.bytes / 12)
        let shared = SharedBaskets(columns, slices: slices), bad = sound.basketStarts[1]..<sound.basketStarts[2]
        var failures = 0
        for (first, end) in zip(slices.starts, slices.starts.dropFirst()) {
            do {
                _ = try tree.read(columns, entries: first..<end, using: ROOTScratch(), sharing: shared)
                #expect(!(first..<end).overlaps(bad))
            } catch {
                failures += 1
                #expect((first..<end).overlaps(bad))
                #expect(error.code == .codec && error.place.contains("branch FatJet_pt, basket 1"), "\(error)")
            }
        }
        #expect(failures > 1)
        #expect(shared.heldCount == 0)
    }
}
