import Foundation
import ROOTFile
import TestSupport
import Testing

/// Opening a tree of many branches parses only what is asked for.
@Suite struct OpeningTests {
    @Test func `of 1,802 branches only those that are asked for are parsed`() throws {
        let counts: [Int32] = [2, 0, 1], items: [[Float]] = [[1, 2], [], [3]]
        var branches: [MadeBranch] = [.int32("n", counts)]
        branches += (1...1_800).map { .int32("b\($0)", counts) }
        branches.append(.counted("v", by: "n", items))
        var made = MadeROOTFile([MadeTree("t", entries: 3, branches)])
        // All that they say of themselves behind their names, leaves and baskets included.
        for number in 1...1_800 {
            let damage = made.place("t/b\(number): offset bytes")..<made.place("t/b\(number): start of basket 1")
            made.replace(at: damage.lowerBound, with: Array(repeating: 0xff, count: damage.count))
        }
        let file = try Damaged(made)
        let tree = try ROOTFile(path: file.path).tree(named: "t")
        #expect(tree.branchNames.count == 1_802 && tree.hasBranch("b1800"))
        let values = try file.read(["v", "n"])
        #expect(values[0].array(of: Float.self) == [1, 2, 3] && values[1].array(of: Int32.self) == counts)
        // They are damaged indeed.
        let listed = try tree.branches()
        #expect(listed.count { $0.refusal?.code == .damaged } == 1_800)
        #expect(listed.filter { $0.refusal == nil }.map(\.path) == ["n", "v"])
    }

    private static var pfnano: String? {
        Package.data.flatMap { data in
            let path = data + "/root/public/pfnano.root"
            return FileManager.default.fileExists(atPath: path) ? path : nil
        }
    }

    /// Prints what opening costs beside decompressing the tree's record and beside parsing everything.
    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["PANDO_BENCH_ROOT"] != nil, "set PANDO_BENCH_ROOT to measure"),
        .enabled(if: pfnano != nil, "there are no ROOT files beside the package"))
    func `what opening a file of 1,802 branches costs`() throws {
        let path = try #require(Self.pfnano), decoder = ROOTDecoder()
        func best(_ body: () throws -> Void) rethrows -> Double {
            var best = Double.infinity
            for _ in 0..<15 {
                let start = Self.threadSeconds()
                try body()
                best = min(best, Self.threadSeconds() - start)
            }
            return best * 1e3
        }
        let file = try ROOTFile(path: path), key = try file.key(named: "Events")
        let bare = try best { _ = try file.payload(of: key, using: decoder) }
        let opened = try best { _ = try ROOTFile(path: path).tree(named: "Events") }
        let tree = try file.tree(named: "Events")
        let one = try best { _ = try tree.column("JetPFCands_pt") }
        let all = try best { _ = try tree.branches() }
        print(
            String(
                format: "decompress the record %.2f ms; open file and tree %.2f ms (%.3f times); one column %.4f ms; "
                    + "all %d branches %.2f ms", bare, opened, opened / bare, one, tree.branchNames.count, all))
        #expect(opened.isFinite && all > one)
    }

    private static func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
