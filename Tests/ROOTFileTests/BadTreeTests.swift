import Foundation
import ROOTFile
import TestSupport
import Testing

/// Damage to the record of a tree: branches, leaves, references, counters.
@Suite struct BadTreeTests {
    private let made = MadeROOTFile.everything()

    private func damaged(_ change: (inout MadeROOTFile) -> Void) throws -> Damaged {
        var copy = made
        change(&copy)
        return try Damaged(copy)
    }

    /// Where the tree's record is, as errors say it.
    private var record: String { "of the record at byte \(made.place("t: record bytes"))" }

    /// A reference to what is at a place of the record.
    private func reference(_ mark: String) -> UInt32 {
        UInt32(made.place(mark) - made.place("t: payload") + ROOTBytes.keyBytes("TTree", "t", "") + 2)
    }

    private func byte(_ mark: String) -> String { "byte \(made.place(mark) - made.place("t: payload")) \(record)" }

    @Test(arguments: [("t: branches", 40_000), ("t: branches", -1)])
    func `wrong counts in a tree's record are named with their byte`(mark: String, number: Int) throws {
        let error = try #require(damaged { $0.set(mark, to: Int32(number)) }.error("n"))
        #expect(error.isAt("tree t", record), "\(error)")
    }

    @Test(arguments: [Int64.min, -1]) func `a tree of less than no entries is damage`(number: Int64) throws {
        let error = try #require(damaged { $0.set("t: entries", to: number) }.error("n"))
        #expect(error.code == .damaged && error.isAt("tree t", record) && error.message.contains("\(number)"))
    }

    @Test(arguments: [Int64.max, 1 << 40, 11])
    func `a tree that says more entries than its branches hold names the branch, and takes no memory for them`(
        number: Int64
    ) throws {
        let copy = try damaged { $0.set("t: entries", to: number) }
        let error = try #require(copy.error("v"))
        #expect(error.code == .damaged && error.isAt("tree t", "branch v") && error.message.contains("has 10 entries"))
        #expect(copy.error("vec")?.isAt("tree t", "branch vec") == true)
        #expect(copy.error("v", entries: 0..<10) == nil)
    }

    @Test func `branches of unequal length are named where one is too short`() throws {
        let whole = try Damaged(made)
        let error = try #require(whole.error("n", "short"))
        #expect(error.code == .damaged && error.isAt("tree t", "branch short"))
        #expect(error.message.contains("has 5 entries, 10 are asked for") && error.advice?.contains("unequal") == true)
        #expect(whole.error("n", "short", entries: 0..<5) == nil)
    }

    @Test func `trees without entries or without branches are empty`() throws {
        let file = try Damaged(
            MadeROOTFile([MadeTree("none", entries: 0, []), MadeTree("empty", entries: 0, [.int32("x", [])])]))
        #expect(file.firstError() == nil)
        #expect(try file.read(["x"], "empty")[0].count == 0)
        #expect(file.error("x", tree: "empty", entries: 0..<1)?.code == .usage)
        let none = try ROOTFile(path: file.path).tree(named: "none")
        #expect(try none.branchNames.isEmpty && none.branches().isEmpty)
        #expect(#expect(throws: ROOTError.self) { try none.column("x") }?.code == .missing)
    }

    @Test func `of branches of one name the first is read, and all are listed`() throws {
        let trees = [
            MadeTree("t", entries: 3, [.int32("x", [1, 2, 3]), .int32("y", [0, 0, 0]), .int32("x", [4, 5, 6])])
        ]
        let file = try Damaged(MadeROOTFile(trees))
        #expect(try file.read(["x"])[0].array(of: Int32.self) == [1, 2, 3])
        let tree = try ROOTFile(path: file.path).tree(named: "t"), branches = try tree.branches()
        #expect(branches.map(\.path) == ["x", "y", "x"] && branches.map(\.isRepeated) == [false, false, true])
        let second = try tree.read(branches[2].columns, entries: 0..<3, using: ROOTScratch())[0]
        #expect(second.array(of: Int32.self) == [4, 5, 6])
    }

    @Test(arguments: [
        ("baskets", 1 << 30), ("baskets", -1), ("finished baskets", -1), ("leaves", 1 << 20),
        ("leaves", -1), ("embedded", 1 << 20), ("branches", -5),
    ])
    func `wrong counts in a branch are named with it`(mark: String, number: Int) throws {
        let copy = try damaged { $0.set("t/v: \(mark)", to: Int32(number)) }
        let error = try #require(copy.error("v"))
        #expect(error.code == .damaged && error.isAt("tree t", "branch v"), "\(error)")
        // The branches beside it are read, as long as nobody asks for this one.
        #expect(copy.error("n", "vec") == nil)
    }

    @Test func `a branch that does not end where it says is damage`() throws {
        let error = try #require(damaged { $0.set("t/vec: has sizes", to: UInt8(0)) }.error("vec"))
        #expect(error.code == .damaged && error.isAt("tree t", "branch vec", record), "\(error)")
        #expect(error.message.contains("the branch should end at byte"))
    }

    @Test func `entries of baskets that fall, overflow or miss some are damage`() throws {
        let changes: [(String, Int64)] = [
            ("start of basket 0", 1), ("start of basket 1", 9), ("start of basket 1", -1), ("start of basket 2", .max),
            ("start of basket 3", .min), ("start of basket 3", .max), ("entries", .max), ("entries", 11),
            ("entries", -2),
        ]
        for (mark, number) in changes {
            let error = try #require(damaged { $0.set("t/vec: \(mark)", to: number) }.error("vec"), "\(mark) \(number)")
            #expect(error.code == .damaged && error.isAt("tree t", "branch vec"), "\(mark) \(number): \(error)")
        }
        // With embedded ones behind them, so that the sum runs over.
        let error = try damaged {
            $0.set("t/late: start of basket 2", to: Int64.max - 1)
            $0.set("t/late: entries", to: Int64.max)
        }.error("late")
        #expect(error?.code == .damaged && error?.message.contains("more entries than can be counted") == true)
        let first = try damaged { $0.set("t/v: first entry", to: Int64(7)) }.error("v")
        #expect(first?.code == .unsupported && first?.isAt("branch v") == true)
    }

    @Test func `references to itself, to nothing and outside are damage`() throws {
        let slots = ["t/v: leaf 0", "t/v", "t/s", "t/v: leaf 0: counter"].map(reference)
        for reference in slots + [2, 35, 1 << 29, 3] {
            let copy = try damaged { $0.set("t/v: leaf 0: counter", to: reference) }
            let error = try #require(copy.error("v"), "\(reference)")
            #expect(error.code == .damaged && error.isAt("tree t", "branch v"), "\(reference): \(error)")
            #expect(copy.error("n", "vec", "s") == nil)
        }
        let own = try damaged { $0.set("t/v: leaf 0: counter", to: slots[0]) }.error("v")
        #expect(own?.message == "is counted by itself")
        // A class that is where its own name should be.
        let place = try #require(
            made.content.marks.first { $0.key.hasPrefix("class of slot") && $0.value > made.place("t/v") })
        let lost = try damaged { $0.set(place.key, to: 0x8000_0000 | reference(place.key)) }.firstError()
        #expect(
            lost?.code == .damaged && lost?.isAt("tree t") == true && lost?.message.contains("class") == true,
            "\(lost as Any)")
    }

    @Test func `objects without an end are damage`() throws {
        for count: UInt32 in [0x4000_0000, 0x4000_0001, 0x7fff_ffff, 0x4000_ffff] {
            let copy = try damaged { $0.set("t/v", to: count) }
            let error = try #require(copy.error("v"))
            #expect(error.code == .damaged && error.isAt("tree t", record), "\(error)")
            let frame = try damaged { $0.set("t/v: frame", to: count) }.error("v")
            #expect(frame?.isAt("tree t", record) == true, "\(frame as Any)")
        }
    }

    @Test func `a leaf that many references lead to is read a few times, not without end`() throws {
        // A title of 4,000 bytes and 50,000 references to it: 200 MB of names if each were copied.
        var long = MadeBranch.int32("long", [1, 2, 3])
        long.leaves[0].title = "long" + String(repeating: " ", count: 3_000)
        var many = MadeBranch.int32("many", [1, 2, 3])
        many.references = Array(repeating: "long", count: 50_000)
        let copy = try Damaged(MadeROOTFile([MadeTree("t", entries: 3, [long, many])]))
        let error = try #require(copy.error("many"))
        #expect(
            error.code == .damaged && error.isAt("tree t", "branch many", "byte")
                && error.message.contains("again and again"))
        #expect(copy.error("long") == nil)
    }

    @Test func `names without end are damage`() throws {
        var leaf = MadeBranch.int32("leaf", [1])
        leaf.leaves[0].title = String(repeating: "x", count: 5_000)
        let named = MadeBranch.int32(String(repeating: "x", count: 1_500), [1])
        let copy = try Damaged(MadeROOTFile([MadeTree("t", entries: 1, [leaf, named])]))
        #expect(copy.error("leaf")?.message.contains("a name of 5000 bytes") == true)
        let refusals = try ROOTFile(path: copy.path).tree(named: "t").branches().map(\.refusal?.code)
        #expect(refusals == [.damaged, .damaged])
    }

    @Test func `a counter that disagrees with its array is named with basket and byte`() throws {
        let place = made.place("t/n basket 1: data"), basket = made.place("t/v basket 1: record bytes")
        // Entry 5 has one item more than the array holds.
        let more = try #require(damaged { $0.replace(at: place + 8, with: [0, 0, 0, 2]) }.error("v"))
        #expect(more.code == .damaged && more.isAt("tree t", "branch v", "basket 1 at byte \(basket)"), "\(more)")
        #expect(more.message.contains("n counts 7 items"))
        // The sum fits, the entries do not.
        let moved = try #require(damaged { $0.replace(at: place + 4, with: [0, 0, 0, 1, 0, 0, 0, 0]) }.error("v"))
        #expect(moved.code == .damaged && moved.isAt("tree t", "branch v", "basket 1 at byte \(basket)"), "\(moved)")
        #expect(moved.message.contains("its entry 1 begins at byte 0, by n it should be at 4"))
        let negative = try #require(damaged { $0.replace(at: place, with: [0xff, 0xff, 0xff, 0xff]) }.error("v"))
        #expect(negative.code == .damaged && negative.isAt("tree t", "branch n"))
        #expect(negative.message == "counts less than nothing")
        let huge = try #require(damaged { $0.replace(at: place, with: [0x7f, 0xff, 0xff, 0xff]) }.error("v"))
        #expect(huge.code == .damaged && huge.isAt("branch v", "basket"))
        // Texts cannot count.
        let text = try damaged { $0.set("t/v: leaf 0: counter", to: reference("t/s: leaf 0")) }
        #expect(text.error("v")?.code == .unsupported && text.error("v")?.isAt("branch v", "its counter s") == true)
    }

    @Test func `what is not read is refused by name`() throws {
        var object = MadeBranch.vectors("object", [[1]])
        object.valueClass = "TLorentzVector"
        object.leaves[0].type = -1
        var clones = MadeBranch.vectors("clones", [[1]])
        clones.valueClass = "TClonesArray"
        var nested = MadeBranch.vectors("nested", [[1]])
        nested.valueClass = "vector<vector<float> >"
        var strange = MadeBranch.int32("strange", [1])
        strange.leaves[0].className = "TLeafQ"
        let tree = MadeTree("t", entries: 1, [object, clones, nested, strange, .int32("x", [1])])
        let copy = try Damaged(MadeROOTFile([tree]))
        for (name, words) in [
            ("object", "TLorentzVector"), ("clones", "TClonesArray"), ("nested", "vector<vector<float>>"),
            ("strange", "TLeafQ"),
        ] {
            let error = try #require(copy.error(name))
            #expect(
                error.code == .unsupported && error.isAt("tree t", "branch \(name)") && error.message.contains(words))
            #expect(error.message.hasSuffix("not read"))
        }
        #expect(copy.error("x") == nil)
        let branches = try ROOTFile(path: copy.path).tree(named: "t").branches()
        #expect(branches.filter { $0.columns.isEmpty }.map(\.path) == ["object", "clones", "nested", "strange"])
    }

    @Test func `objects that are stored member by member are refused`() throws {
        // Bit 14 of the version of an entry, and of the branch itself.
        let place = made.place("t/vec basket 1: data")
        let entry = try #require(damaged { $0.replace(at: place + 4, with: [0x40]) }.error("vec"))
        #expect(entry.code == .unsupported && entry.message.contains("member by member"))
        #expect(entry.isAt("tree t", "branch vec", "basket 1 at byte \(made.place("t/vec basket 1: record bytes"))"))
        let branch = try #require(
            damaged { $0.replace(at: $0.place("t/v: frame") + 4, with: [0x40]) }.error("n"))
        #expect(
            branch.code == .unsupported && branch.message.contains("member by member")
                && branch.isAt("tree t", byte("t/v: frame")))
    }
}
