import Foundation
import Support
import TestSupport
import Testing

@Suite struct MemoryTests {
    private struct Outcome: Decodable {
        var rows: Int
        var peakMemory: Int
    }

    private func convert(_ inputs: [String], _ directory: TemporaryDirectory, _ name: String) throws -> Outcome {
        let run = try Run(["convert"] + inputs + [directory.file(name), "--json", "--quiet", "--threads", "2"])
        #expect(run.status == 0, "\(run.errors)")
        return try JSONDecoder().decode(Outcome.self, from: Data(run.output.utf8))
    }

    /// docs/convert.md states the bound; what counts here is that it does not depend on the input's size.
    @Test func `memory stays far below 1 GiB and does not grow with the input`() throws {
        let directory = try TemporaryDirectory()
        let small = try convert(Array(repeating: Package.sample, count: 48), directory, "small")
        let large = try convert(Array(repeating: Package.sample, count: 144), directory, "large")
        #expect(large.rows == 3 * small.rows)
        #expect(large.peakMemory < 400 << 20, "\(large.peakMemory)")
        #expect(large.peakMemory < small.peakMemory + (64 << 20), "\(small.peakMemory), then \(large.peakMemory)")
    }
}
