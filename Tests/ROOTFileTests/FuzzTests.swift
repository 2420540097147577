import Foundation
import TestSupport
import Testing

/// Mutants are read in a process of their own (`Tests/Probe/root-fuzz`): what ends it is seen here, whatever it is, and says which
/// mutant it was; `root-fuzz --only N` makes it again.
@Suite struct FuzzTests {
    /// What the process prints.
    private struct Outcome: Decodable {
        var mutants: Int
        var refused: Int
        var outcomes: [String: Int]
        var faults: [String]
        var seconds: Double
        var slowest: Int
        var memory: Int
        var ratio: Double
    }

    /// Small files of each kind, so that most of their bytes mean something. One is large and not compressed.
    private static let seeds: [String] = {
        guard let data = Package.data else { return [] }
        return ["root/zoo", "root/public"].flatMap { folder -> [String] in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(data)/\(folder)")) ?? []
            return names.sorted().map { "\(data)/\(folder)/\($0)" }
        }.filter { path in
            let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? nil
            let isSmall = (size ?? .max) < 80_000 && !path.contains("multiblock")
            return path.hasSuffix(".root") && (isSmall || path.hasSuffix("zoo_types_none.root"))
        }
    }()

    @Test(.timeLimit(.minutes(120)))
    func `mutated files end in values or errors, each in bounded time and memory`() throws {
        let count = Package.number("PANDO_FUZZ_ROOT", default: 20_000)
        let seed = Package.number("PANDO_SEED", default: Int.random(in: 0...999_999))
        let threads = ProcessInfo.processInfo.activeProcessorCount
        let run = try Run(program: "root-fuzz", ["\(count)", "\(seed)", "\(threads)"] + Self.seeds)
        print("PANDO_SEED=\(seed) PANDO_FUZZ_ROOT=\(count), \(Self.seeds.count) files: \(run.output)")
        try #require(run.status == 0, "PANDO_SEED=\(seed): \(run.errors.prefix(2000)) \(run.output)")
        let outcome = try JSONDecoder().decode(Outcome.self, from: Data(run.output.utf8))
        #expect(outcome.mutants == count)
        #expect(outcome.faults.isEmpty, "PANDO_SEED=\(seed): \(outcome.faults)")
        // They got to the bottom of it: most files open, and nearly every kind of error comes.
        #expect(outcome.refused < count / 2 && outcome.outcomes["read", default: 0] > count)
        for kind in ["damaged", "truncated", "unsupported"] {
            #expect(outcome.outcomes[kind, default: 0] > count / 100)
        }
    }
}
