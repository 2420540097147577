import Foundation
import ROOTFile
import TestSupport
import Testing

/// Damage to a file, its keys and directories.
@Suite struct BadContainerTests {
    private let made = MadeROOTFile.everything()

    private func damaged(_ change: (inout MadeROOTFile) -> Void) throws -> Damaged {
        var copy = made
        change(&copy)
        return try Damaged(copy)
    }

    @Test func `a made file is sound before it is damaged`() throws {
        let whole = try Damaged(made)
        #expect(whole.firstError() == nil)
        let file = try ROOTFile(path: whole.path)
        #expect(try file.trees().map(\.path) == ["t", "empty", "deep/inner"])
        let values = try whole.read(["n", "v", "lateCounted"])
        #expect(values[0].array(of: Int32.self) == (0..<10).map { Int32($0 * 5 % 4) })
        for jagged in values[1...] {
            let range = jagged.range(ofEntry: 7)
            #expect(Array(jagged.array(of: Float.self)[range]) == [70, 71, 72])
        }
    }

    @Test func `a file cut anywhere is told by its header`() throws {
        for size in 0..<made.bytes.count where size < 300 || size % 17 == 0 {
            let error = try #require(Damaged(made, size: size).firstError())
            #expect(error.code == (size < 4 ? .notROOT : .truncated), "\(size): \(error)")
            #expect(size < 4 || error.isAt("header"), "\(size): \(error)")
            #expect(error.file.hasSuffix("made.root"))
        }
    }

    @Test func `a file cut where its header allows it names what is missing`() throws {
        var copy = made
        copy.set("header: end", to: Int32(200))
        // The list of keys stands at the end; then nothing is found.
        let error = try #require(Damaged(copy, size: copy.bytes.count - 20).firstError())
        #expect(
            error.code == .damaged
                && error.isAt("top directory", "list of keys at byte \(made.place("top: list: record bytes"))"))
        // A basket behind the end.
        let place = Int32(copy.bytes.count - 10), at = copy.place("t/v: place of basket 1")
        copy.set("t/v: place of basket 1", to: Int64(place))
        let basket = try #require(Damaged(copy).error("v"))
        #expect(at > 0 && basket.code == .truncated)
        #expect(basket.isAt("tree t", "branch v", "basket 1 at byte \(place)"), "\(basket)")
    }

    @Test(arguments: [
        ("header: begin", 0), ("header: begin", -5), ("header: begin", 1 << 30), ("header: name bytes", -1),
        ("header: name bytes", 1 << 30), ("header: streamers", -1), ("header: streamers", 1 << 30),
    ])
    func `wrong numbers in the header are named`(mark: String, number: Int) throws {
        let error = try #require(damaged { $0.set(mark, to: Int32(number)) }.firstError())
        #expect(error.code == .damaged && error.isAt("header"), "\(error)")
    }

    @Test(arguments: [
        ("record bytes", 0), ("record bytes", -7), ("record bytes", 5), ("record bytes", 1 << 30),
        ("payload bytes", -1),
        ("payload bytes", 1 << 30),
    ])
    func `wrong sizes in a record are named with its byte`(mark: String, number: Int) throws {
        let error = try #require(damaged { $0.set("t: \(mark)", to: Int32(number)) }.error("n"))
        #expect(
            error.code != .missing && error.isAt("TTree t;1", "record at byte \(made.place("t: record bytes"))"),
            "\(error)")
    }

    @Test(arguments: [0, 5, 25, -1, 32_767]) func `wrong lengths of a header are named`(number: Int) throws {
        let error = try #require(damaged { $0.set("t: header bytes", to: Int16(number)) }.error("n"))
        #expect(error.code == .damaged && error.isAt("record at byte"), "\(error)")
    }

    @Test(arguments: [-1, 1 << 30, 3]) func `keys that lead outside or to no record are named`(number: Int) throws {
        let error = try #require(damaged { $0.set("list: t: place", to: Int32(number)) }.error("n"))
        #expect(error.code != .missing && error.isAt("byte \(number)") || error.isAt("record at \(number)"), "\(error)")
    }

    @Test(arguments: [-1, 3_000, Int(Int32.max)]) func `a list with another number of keys is damage`(count: Int) throws
    {
        let error = try #require(damaged { $0.set("top: keys", to: Int32(count)) }.firstError())
        #expect(error.code == .damaged && error.isAt("top directory", "list of keys", "byte "), "\(error)")
    }

    @Test(arguments: [
        ("place of the list", -4), ("place of the list", 1 << 30), ("bytes of the list", -1),
        ("bytes of the list", 1 << 30),
    ])
    func `a directory whose list lies outside is damage`(mark: String, number: Int) throws {
        let copy = try damaged { $0.set("deep: \(mark)", to: Int32(number)) }
        let error = try #require(copy.firstError())
        #expect(error.code == .damaged && error.isAt("directory deep", "list of keys"), "\(error)")
        // What does not lie in there is read all the same.
        #expect(copy.error("n") == nil)
    }

    @Test func `a directory that leads to itself is damage, and comes to an end`() throws {
        // The key of the tree in `deep` becomes one of `deep` itself.
        let copy = try damaged { made in
            let place = made.place("list: inner: class")
            // "TTree", "inner", "" in 12 bytes: a class, a name, a title that take as many.
            var bytes = ROOTBytes()
            bytes.text("TDirectory")
            bytes.text("")
            made.replace(at: place, with: bytes.bytes)
            made.set("list: inner: record bytes", to: Int32(100))
            made.set("list: inner: place", to: Int32(made.place("deep: record bytes")))
        }
        let error = try #require(copy.firstError())
        #expect(error.code == .damaged && error.isAt("directory deep/"), "\(error)")
        #expect(error.message.contains("another key leads to"))
        #expect(copy.error("n") == nil)
    }

    @Test
    func
        `flipped bits of header, keys, directories and records end in values or in an error with the file's name`()
        throws
    {
        var places = Array(0..<64)
        for (mark, place) in made.content.marks where mark.hasSuffix("record bytes") || mark.hasSuffix(": directory") {
            places += place..<place + 40
        }
        places += made.place("t: payload")..<made.place("t: payload") + 400
        var refused = 0
        // Of each byte two bits, others of the next one.
        for bit in Set(places).sorted().flatMap({ [($0, $0 % 8), ($0, ($0 + 3) % 8)] }) {
            var bytes = made.bytes
            bytes[bit.0] ^= 1 << bit.1
            guard let error = try Damaged(bytes).firstError() else { continue }
            refused += 1
            #expect(error.file.hasSuffix("made.root") && !error.message.isEmpty, "\(bit): \(error)")
        }
        #expect(refused > 500)
    }

    @Test func `what is no tree is refused by its class`() throws {
        let rntuple = try damaged { made in
            // Seven bytes more of a class name: the key is written anew over those of the next.
            made.replace(at: made.place("list: t: class"), with: [5] + Array("THash".utf8))
        }
        let error = try #require(rntuple.error("n"))
        #expect(error.code == .missing && error.message.contains("THash"), "\(error)")
    }
}
