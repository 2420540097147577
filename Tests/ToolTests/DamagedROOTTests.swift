import Foundation
import TestSupport
import Testing

/// What the tool says of damaged ROOT files.
@Suite struct DamagedROOTTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.file("made.root") }

    init() throws {
        directory = try TemporaryDirectory()
        let schema = """
            { "name": "made", "description": "a made file", "format": "root", "tree": "t", "datasets": [
              { "path": "items", "type": "float32", "role": "constituent",
                "columns": [ { "name": "vec", "description": "values" } ] },
              { "path": "counts", "type": "int32", "role": "jet",
                "columns": [ { "name": "n", "description": "numbers" } ] } ] }
            """
        try schema.write(toFile: directory.file("schema.json"), atomically: true, encoding: .utf8)
    }

    private func write(_ change: (inout MadeROOTFile) -> Void) throws -> MadeROOTFile {
        var made = MadeROOTFile.everything()
        change(&made)
        try Data(made.bytes).write(to: URL(fileURLWithPath: path))
        return made
    }

    private func convert() throws -> Run {
        try Run(["convert", path, directory.file("made.pando"), "--quiet", "--schema", directory.file("schema.json")])
    }

    @Test func `a sound file is converted`() throws {
        _ = try write { _ in }
        let run = try convert()
        #expect(run.status == 0, "\(run.errors)")
    }

    @Test(arguments: [Int64.max, 1 << 60, 11])
    func `a tree that says more entries than it has is refused at once, by its branch`(entries: Int64) throws {
        _ = try write { $0.set("t: entries", to: entries) }
        let run = try convert()
        #expect(run.status == 1 && run.errors.contains("made.root, tree t, branch "), "\(run.errors)")
        #expect(run.errors.contains("has 10 entries, \(entries) are asked for"))
    }

    @Test func `lies that agree with each other are refused at once too`() throws {
        let made = try write { made in
            made.set("t: entries", to: Int64(1) << 60)
            for (branch, last) in [("n", 4), ("vec", 3)] {
                made.set("t/\(branch): entries", to: Int64(1) << 60)
                made.set("t/\(branch): start of basket \(last)", to: Int64(1) << 60)
                made.set("t/\(branch): total bytes", to: Int64(1) << 62)
            }
        }
        let run = try convert()
        #expect(run.status == 1, "\(run.errors)")
        let baskets = [("n", 3), ("vec", 2)].map {
            "branch \($0), basket \($1) at byte \(made.place("t/\($0) basket \($1): record bytes"))"
        }
        #expect(baskets.contains { run.errors.contains("made.root, tree t, \($0)") }, "\(run.errors)")
    }

    @Test func `a damaged basket is named by convert and by inspect`() throws {
        let made = try write { $0.replace(at: $0.place("t/vec basket 1: data") + 3, with: [1]) }
        let place = "made.root, tree t, branch vec, basket 1 at byte \(made.place("t/vec basket 1: record bytes"))"
        let run = try convert()
        #expect(run.status == 1 && run.errors.contains(place), "\(run.errors)")
        let values = try Run(["inspect", path, "--tree", "t", "--columns", "vec", "--rows", "0..10", "--json"])
        #expect(values.status == 1 && values.errors.contains(place), "\(values.errors)")
        // What is sound is shown all the same.
        let all = try Run(["inspect", path, "--verbose", "--json"])
        #expect(all.status == 1 && all.output.contains(place) && all.output.contains("\"path\":\"v\""), "\(all.output)")
    }
}
