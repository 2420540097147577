import Foundation
import ROOTFile
import TestSupport
import Testing

/// Damage to baskets: their heads, sizes, offsets, values.
@Suite struct BadBasketTests {
    private let made = MadeROOTFile.everything()

    private func damaged(_ change: (inout MadeROOTFile) -> Void) throws -> Damaged {
        var copy = made
        change(&copy)
        return try Damaged(copy)
    }

    private func basket(_ number: Int, of branch: String) -> String {
        "basket \(number) at byte \(made.place("t/\(branch) basket \(number): record bytes"))"
    }

    @Test(arguments: ["v", "vec", "s", "n"])
    func `baskets whose heads lie are named with tree, branch, number and byte`(branch: String) throws {
        let changes: [(String, Int)] = [
            ("record bytes", 50), ("record bytes", -1), ("record bytes", 1 << 20), ("payload bytes", 5),
            ("payload bytes", -1), ("payload bytes", 1 << 30), ("entries", 3_000), ("entries", -1), ("entries", 0),
            ("entries", 1 << 30), ("end", 0), ("end", -5), ("end", 1 << 20), ("end", 60), ("entry bytes", -9),
        ]
        for (mark, number) in changes {
            let error = try #require(
                damaged { $0.set("t/\(branch) basket 1: \(mark)", to: Int32(number)) }.error(branch),
                "\(mark) \(number)")
            #expect(error.isAt("tree t", "branch \(branch)", basket(1, of: branch)), "\(mark) \(number): \(error)")
        }
        for header in [0, 25, 60, -1, 1_000] {
            let error = try #require(
                damaged { $0.set("t/\(branch) basket 1: header bytes", to: Int16(header)) }.error(branch))
            #expect(error.isAt("tree t", "branch \(branch)", basket(1, of: branch)), "\(header): \(error)")
        }
        let name = try damaged {
            $0.replace(at: $0.place("t/\(branch) basket 1: class") + 1, with: Array("TRocket".utf8))
        }
        #expect(name.error(branch)?.message.contains("there should be a basket") == true)
        let other = try damaged { $0.set("t/\(branch) basket 1: place", to: Int64(100)) }
        #expect(other.error(branch)?.isAt("branch \(branch)", basket(1, of: branch)) == true)
        // Others of the branch are read.
        #expect(name.error(branch, entries: 0..<3) == nil)
    }

    @Test(arguments: [
        ("size", 0), ("size", -4), ("size", 1 << 30), ("size", 20), ("place", -1), ("place", 4), ("place", 1 << 40),
    ])
    func `baskets that are not where the branch says are named`(what: String, number: Int) throws {
        let error = try #require(
            damaged {
                if what == "size" {
                    $0.set("t/v: size of basket 1", to: Int32(number))
                } else {
                    $0.set("t/v: place of basket 1", to: Int64(number))
                }
            }.error("v"))
        #expect(error.isAt("tree t", "branch v", "basket 1"), "\(error)")
    }

    @Test func `baskets that lie on each other are damage once they take more than the file`() throws {
        // 4,000 baskets, all of them the same 16 KiB.
        var branch = MadeBranch("x", [MadeLeaf("TLeafB", "x")], [])
        branch.baskets = Array(
            repeating: MadeBasket(entries: 16_384, data: [UInt8](repeating: 7, count: 16_384)), count: 4_000)
        branch.sharesBaskets = true
        let copy = try Damaged(MadeROOTFile([MadeTree("t", entries: 4_000 * 16_384, [branch])]))
        let error = try #require(copy.error("x"))
        #expect(error.code == .damaged && error.isAt("tree t", "branch x", "basket"))
        #expect(error.message.contains("more bytes than the file has"))
        #expect(copy.error("x", entries: 0..<50_000) == nil)
    }

    @Test func `entries that no bytes stand for take no memory`() throws {
        // Without stored offsets, so that nothing else bounds them: two thousand million texts and vectors in a few bytes.
        for name in ["s", "vec"] {
            let copy = try damaged {
                $0.set("t/\(name): offset bytes", to: Int32(0))
                for mark in ["start of basket 3", "entries"] { $0.set("t/\(name): \(mark)", to: Int64(Int32.max) + 8) }
                $0.set("t/\(name) basket 2: entries", to: Int32.max)
            }
            let error = try #require(copy.error(name, tree: "t", entries: 8..<10))
            #expect(error.code == .damaged && error.isAt("tree t", "branch \(name)", basket(2, of: name)), "\(error)")
            #expect(error.message.contains("for \(Int32.max) "))
        }
    }

    @Test(arguments: ["v", "vec", "s"])
    func `offsets that fall, lie outside or miss some are damage`(branch: String) throws {
        let place = made.place("t/\(branch) basket 1: offsets")
        for (entry, number) in [(0, 5_000), (1, 0), (2, -1), (3, 1 << 30), (0, 0)] {
            let error = try #require(
                damaged { made in
                    withUnsafeBytes(of: Int32(number).bigEndian) {
                        made.replace(at: place + 4 + 4 * entry, with: Array($0))
                    }
                }.error(branch), "\(entry) \(number)")
            #expect(
                error.code == .damaged && error.isAt("tree t", "branch \(branch)", basket(1, of: branch)), "\(error)")
        }
        for count in [-1, 0, 3, 6, 1 << 30] {
            let error = try #require(
                damaged { made in
                    withUnsafeBytes(of: Int32(count).bigEndian) { made.replace(at: place, with: Array($0)) }
                }.error(branch), "\(count)")
            #expect(
                error.code == .damaged && error.isAt("branch \(branch)", basket(1, of: branch)), "\(count): \(error)")
        }
    }

    @Test func `vectors and texts that contradict their length are named with their entry`() throws {
        let place = made.place("t/vec basket 1: data")
        for (at, byte) in [(0, UInt8(0)), (3, 7), (9, 1), (6, 0x80)] {
            let error = try #require(damaged { $0.replace(at: place + at, with: [byte]) }.error("vec"))
            #expect(error.code == .damaged && error.isAt("branch vec", basket(1, of: "vec")))
            #expect(error.message.contains("its entry 0"), "\(error)")
        }
        let text = try #require(
            damaged { $0.replace(at: $0.place("t/s basket 0: data") + 1, with: [9]) }.error("s"))
        #expect(text.code == .truncated && text.isAt("branch s", basket(0, of: "s"), "byte"), "\(text)")
    }

    @Test func `embedded baskets are held against the same rules`() throws {
        let record = "of the record at byte \(made.place("t: record bytes"))"
        for (mark, number) in [
            ("entries", 7), ("entries", -1), ("entries", 1 << 30), ("end", 0), ("end", 4_000), ("end", -1),
        ] {
            let copy = try damaged { $0.set("t/late basket 2: \(mark)", to: Int32(number)) }
            let error = try #require(copy.error("late"), "\(mark) \(number)")
            #expect(error.code == .damaged && error.isAt("tree t", "branch late"), "\(mark) \(number): \(error)")
            #expect(mark == "entries" && number == 7 || error.isAt("basket 2", record), "\(mark) \(number): \(error)")
        }
        let values = try #require(
            damaged { $0.replace(at: $0.place("t/late basket 2: data") + 3, with: [1]) }.error("late"))
        #expect(values.isAt("branch late", "basket 2 at byte", record), "\(values)")
        let other = try #require(
            damaged { $0.set("t/short basket 1", to: UInt32(0)) }.error("short", entries: 0..<5))
        #expect(other.isAt("tree t", "branch short"), "\(other)")
    }

    private static var data: String? {
        Package.data.flatMap {
            FileManager.default.fileExists(atPath: $0 + "/jetclass/train/TTBar_000.root") ? $0 : nil
        }
    }

    @Test(.enabled(if: data != nil, "there are no ROOT files beside the package"))
    func `a damaged basket of a real file is named down to the block`() throws {
        let data = try #require(Self.data)
        for (file, tree, branch) in [
            ("jetclass/train/TTBar_000.root", "tree", "part_px"), ("jetclass/val/TTBar_000.root", "tree", "part_px"),
            ("root/pfnano_data_2016G.root", "Events", "PFCands_pt"),
        ] {
            let path = "\(data)/\(file)", bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            // Its second basket: a key of this branch, further on than the first.
            let key = Data([7] + Array("TBasket".utf8) + [UInt8(branch.utf8.count)] + Array(branch.utf8))
            let first = try #require(bytes.range(of: key)),
                next = try #require(bytes.range(of: key, in: first.upperBound..<bytes.count))
            let start = next.lowerBound - 34
            var copy = [UInt8](bytes)
            copy[start + 400] ^= 0x10
            let column = try ROOTFile(path: path).tree(named: tree).column(branch)
            let error = try #require(Damaged(copy).error(branch, tree: tree))
            let numbers = (0..<column.basketStarts.count).map { "basket \($0) at byte \(start)" }
            #expect(error.code == .codec && error.isAt("tree \(tree)", "branch \(branch)"))
            #expect(numbers.contains { error.isAt($0, "compressed block at byte 0") }, "\(error)")
        }
    }
}
