import Foundation
import ROOTFile
import TestSupport
import Testing

/// Ranges of entries are parts of the whole, which is held against uproot (`Tests/Interop/test_root_trees.py`).
@Suite struct RangeTests {
    private static let files: [String] = {
        guard let data = Package.data else { return [] }
        return ["root", "jetclass"].flatMap { folder in
            let names = (try? FileManager.default.subpathsOfDirectory(atPath: "\(data)/\(folder)")) ?? []
            return names.sorted().filter { $0.hasSuffix(".root") }.map { "\(data)/\(folder)/\($0)" }
        }
    }()

    @Test func `any range of a made file is a part of the whole`() throws {
        let file = try Damaged(MadeROOTFile.everything(entries: 40))
        #expect(try compare(file.path, rounds: 60) > 500)
    }

    @Test(.enabled(if: !files.isEmpty, "there are no ROOT files beside the package"), arguments: files)
    func `any range of any column is a part of the whole`(path: String) throws {
        _ = try compare(path, rounds: 3)
    }

    /// Returns how many ranges of columns were compared.
    private func compare(_ path: String, rounds: Int) throws -> Int {
        let seed = UInt64(Package.number("PANDO_SEED", default: Int.random(in: 0...99_999)))
        var random = Seeded(seed), compared = 0
        let file = try ROOTFile(path: path), scratch = ROOTScratch()
        for (name, _) in try file.trees() {
            guard let tree = try? file.tree(named: name) else { continue }
            // Branches that are shorter than the tree are compared as far as they go.
            let columns = try tree.branches().flatMap(\.columns)
            let lengths = Set(columns.map { min(tree.entries, $0.entries) })
            for length in lengths where length > 0 {
                let equal = columns.filter { min(tree.entries, $0.entries) == length }
                let whole = try equal.map { try tree.read([$0], entries: 0..<length, using: scratch)[0] }
                for _ in 0..<rounds {
                    let first = Int.random(in: 0...length, using: &random)
                    let range = first..<Int.random(in: first...min(length, first + 2_000), using: &random)
                    // All together, so that they share counters.
                    let parts = try tree.read(equal, entries: range, using: scratch)
                    for (column, (part, all)) in zip(equal, zip(parts, whole)) {
                        compared += 1
                        #expect(isPart(part, range, of: all), "seed \(seed): \(path), \(column.name), entries \(range)")
                    }
                }
            }
        }
        return compared
    }

    private func isPart(_ part: ROOTValues, _ range: Range<Int>, of all: ROOTValues) -> Bool {
        withExtendedLifetime((part, all)) {
            let width = part.element.width
            let first = range.isEmpty ? 0 : all.range(ofEntry: range.lowerBound).lowerBound
            let end = range.isEmpty ? 0 : all.range(ofEntry: range.upperBound - 1).upperBound
            guard part.entries == range, part.count == end - first else { return false }
            guard part.bytes.elementsEqual(all.bytes[first * width..<end * width]) else { return false }
            guard let offsets = part.offsets, let whole = all.offsets else {
                return part.offsets == nil && all.offsets == nil
            }
            return offsets.enumerated().allSatisfy { $1 == whole[range.lowerBound + $0] - whole[range.lowerBound] }
        }
    }
}
