import Evaluation
import Kernels
import Testing

/// The widest instructions are a setting of the process; as the results do not depend on them, other tests are not disturbed.
@Suite(.serialized) struct InstructionTests {
    @Test func `observables are the same bits with any instructions`() throws {
        defer { pando_limit_instructions(2) }
        var random = RandomJets(seed: UInt64.random(in: 0...99_999))
        let observer = try JetObserver(.all)
        for number in 0..<200 {
            let kind = RandomJets.Kind.allCases[number % RandomJets.Kind.allCases.count]
            let jet = random.jet(kind, count: 1 + Int(random.uniform() * 100))
            let all = try (0...2).map { level in
                pando_limit_instructions(Int32(level))
                return try observer.observe(px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy).map(\.bitPattern)
            }
            #expect(all[0] == all[1] && all[1] == all[2], "\(kind) of \(jet.count)")
        }
    }
}
