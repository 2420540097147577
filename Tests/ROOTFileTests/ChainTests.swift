import Foundation
import ROOTFile
import TestSupport
import Testing

/// Trees that go on over several files.
@Suite struct ChainTests {
    private static var zoo: String? {
        Package.data.flatMap { FileManager.default.fileExists(atPath: $0 + "/root/zoo") ? $0 + "/root/zoo" : nil }
    }

    /// Files of a few entries each, in which `x` counts on and `v` has (entry % 3) values.
    private func files(_ counts: [Int]) throws -> [Damaged] {
        var first = 0
        return try counts.map { count in
            let entries = first..<first + count
            first += count
            let items = entries.map { entry in (0..<entry % 3).map { Float(entry) + Float($0) / 4 } }
            let tree = MadeTree(
                "t", entries: count,
                [
                    .int32("x", entries.map(Int32.init)), .int32("n", items.map { Int32($0.count) }),
                    .counted("v", by: "n", items), .texts("s", entries.map { "entry \($0)" }),
                ])
            return try Damaged(MadeROOTFile([tree]))
        }
    }

    @Test func `any range of entries comes from the files that hold it`() throws {
        let files = try files([7, 0, 1, 12, 5])
        defer { withExtendedLifetime(files) {} }
        let chain = try ROOTChain(paths: files.map(\.path), tree: "t", columns: ["x", "v", "s"])
        #expect(chain.entries == 25 && chain.starts == [0, 7, 7, 8, 20, 25])
        #expect(chain.columns.map(\.typeName) == ["int32", "float32[n]", "string"])
        let scratch = ROOTScratch()
        for first in 0...25 {
            for end in first...25 {
                let values = try chain.read(entries: first..<end, using: scratch)
                #expect(values.allSatisfy { $0.entries == first..<end })
                #expect(values[0].array(of: Int32.self) == (first..<end).map(Int32.init))
                let items = values[1].array(of: Float.self), texts = values[2].array(of: UInt8.self)
                for entry in first..<end {
                    let expected = (0..<entry % 3).map { Float(entry) + Float($0) / 4 }
                    #expect(Array(items[values[1].range(ofEntry: entry - first)]) == expected)
                    let text = texts[values[2].range(ofEntry: entry - first)]
                    #expect(String(decoding: text, as: UTF8.self) == "entry \(entry)")
                }
            }
        }
    }

    @Test(.enabled(if: zoo != nil, "there are no ROOT files beside the package"))
    func `one tree over three files with three codecs is read as one, from many threads`() async throws {
        let zoo = try #require(Self.zoo)
        let chain = try ROOTChain(
            paths: (1...3).map { "\(zoo)/zoo_chain_\($0).root" }, tree: "t", columns: ["x", "v"])
        #expect(chain.entries == 300)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for part in 0..<6 {
                group.addTask {
                    let entries = part * 40..<part * 40 + 95
                    let values = try chain.read(entries: entries.clamped(to: 0..<300), using: ROOTScratch())
                    let x = values[0].array(of: Int64.self), v = values[1].array(of: Float.self)
                    return values[0].entries.allSatisfy { entry in
                        let range = values[1].range(ofEntry: entry - entries.lowerBound)
                        return x[entry - entries.lowerBound] == Int64(entry)
                            && Array(v[range]) == Array(repeating: Float(entry), count: entry % 4)
                    }
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }

    @Test func `files beyond those that stay open are opened again`() throws {
        let files = try files(Array(repeating: 2, count: 12))
        defer { withExtendedLifetime(files) {} }
        let chain = try ROOTChain(paths: files.map(\.path), tree: "t", columns: ["x"])
        let scratch = ROOTScratch()
        for _ in 0..<2 {
            for entry in 0..<24 {
                #expect(
                    try chain.read(entries: entry..<entry + 1, using: scratch)[0].array(of: Int32.self) == [
                        Int32(entry)
                    ])
            }
        }
    }

    @Test func `files that do not fit together are named with their branch`() throws {
        let good = try files([3])
        func failure(_ columns: [String], _ other: MadeTree) throws -> ROOTError? {
            let second = try Damaged(MadeROOTFile([other]))
            return #expect(throws: ROOTError.self) {
                try ROOTChain(
                    paths: [good[0].path, second.path], tree: "t", columns: columns)
            }
        }
        let floats = try #require(try failure(["x"], MadeTree("t", entries: 1, [.vectors("x", [[1]])])))
        #expect(floats.code == .damaged && floats.isAt("tree t", "branch x") && !floats.file.contains(good[0].path))
        #expect(floats.message.contains("vector<float32>") && floats.message.contains("it is int32"))
        let missing = try #require(try failure(["x", "v"], MadeTree("t", entries: 1, [.int32("x", [1])])))
        #expect(missing.code == .missing && missing.isAt("tree t", "branch v"))
        #expect(try failure(["x"], MadeTree("u", entries: 1, [.int32("x", [1])]))?.code == .missing)
        let endless = try #require(try failure(["x"], MadeTree("t", entries: .max, [.int32("x", [1])])))
        #expect(endless.code == .damaged && endless.isAt("tree t"))
    }

    @Test func `what is asked for must be there`() throws {
        let files = try files([3, 4])
        defer { withExtendedLifetime(files) {} }
        let chain = try ROOTChain(paths: files.map(\.path), tree: "t", columns: ["x"])
        for entries in [0..<8, -1..<2, 8..<8] {
            let error = #expect(throws: ROOTError.self) { try chain.read(entries: entries, using: ROOTScratch()) }
            #expect(error?.code == .usage && error?.message.contains("there are 7 in 2 files") == true)
        }
        let none = #expect(throws: ROOTError.self) { try ROOTChain(paths: [], tree: "t", columns: ["x"]) }
        #expect(none?.code == .usage)
        try FileManager.default.removeItem(atPath: files[1].path)
        let gone = #expect(throws: ROOTError.self) { try chain.read(entries: 0..<7, using: ROOTScratch()) }
        #expect(gone?.file == files[1].path)
    }
}
