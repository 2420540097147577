import FastJet
import Foundation
import Support
import Testing

struct FastJetTests {
    private let px = [10.0, 9, -5, 1], py = [0.1, 1.2, 3, -7], pz = [1.0, 2, -3, 4], energy = [11.0, 10, 9, 9]

    @Test func `it says its version, and no banner`() { #expect(FastJet.version.hasPrefix("FastJet version 3.")) }

    @Test func `what it cannot cluster is refused in words`() {
        func message(_ change: (inout [Double]) -> Void, radius: Double = 0.8, offsets: [Int]? = nil) -> String {
            var columns = px
            change(&columns)
            do {
                _ = try FastJet.cluster(
                    px: columns, py: py, pz: pz, energy: energy, offsets: offsets ?? [0, columns.count], algorithm: .kt,
                    radius: radius)
                return ""
            } catch { return "\(error)" }
        }
        #expect(message { $0[1] = .nan } == "FastJet: a momentum is not finite")
        #expect(message { $0[1] = .infinity } == "FastJet: a momentum is not finite")
        #expect(message { $0.removeLast() }.contains("px, py, pz, energy have 3, 4, 4, 4 numbers"))
        #expect(message({ _ in }, radius: 0).contains("radius"))
        #expect(message({ _ in }, radius: .nan).contains("radius"))
        for offsets in [[], [0], [0, 5], [1, 4], [0, 3, 2, 4], [0, 3]] {
            #expect(message({ _ in }, offsets: offsets).contains("offsets"), "\(offsets)")
        }
        #expect(message({ _ in }, offsets: [0, 4, 4]).isEmpty)
    }

    @Test func `inclusive and exclusive jets share the constituents out`() throws {
        let history = try FastJet.cluster(px: px, py: py, pz: pz, energy: energy, algorithm: .antiKt, radius: 0.4)
        let inclusive = history.inclusive.flatMap { history.constituents(of: $0) }
        #expect(inclusive.sorted() == [0, 1, 2, 3])
        #expect(history.exclusive(4).sorted() == [0, 1, 2, 3])
        #expect(history.exclusive(9).sorted() == [0, 1, 2, 3])
        let all = try FastJet.cluster(px: px, py: py, pz: pz, energy: energy, algorithm: .kt, radius: 1000)
        let one = try #require(all.exclusive(1).first)
        #expect(all.momentum(of: one).map { ($0 * 1e6).rounded() } == [15e6, -2.7e6, 4e6, 39e6])
    }

    @Test func `threads do not disturb each other`() throws {
        var random = RandomJets(seed: 5)
        let jets = (0..<400).map { random.jet(.prongs, count: 1 + $0 % 70) }
        @Sendable func inclusive(_ number: Int) throws -> [[Int]] {
            let jet = jets[number]
            let history = try FastJet.cluster(
                px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy, algorithm: .antiKt, scheme: .winnerTakesAll,
                radius: 0.4)
            return history.inclusive.map { history.constituents(of: $0) }
        }
        let expected = try jets.indices.map(inclusive)
        try WorkerThreads.forEach(4 * jets.count, threads: 4) { item in
            guard try inclusive(item % jets.count) == expected[item % jets.count] else {
                throw CancellationError()
            }
        }
    }
}
