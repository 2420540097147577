import FastJet
import Foundation
import Testing

/// Our clustering against FastJet's, step by step.
struct ClusteringTests {
    private static let recipes: [(FastJet.Algorithm, FastJet.Scheme, Double)] = [
        (.kt, .energy, 0.8), (.kt, .winnerTakesAll, 0.8), (.kt, .energy, 1000), (.kt, .winnerTakesAll, 1000),
        (.cambridge, .energy, 1000), (.cambridge, .winnerTakesAll, 1000), (.antiKt, .energy, 0.4),
        (.antiKt, .winnerTakesAll, 0.8),
    ]

    /// The steps, each with its parents in rising order.
    private func steps(_ clusters: KernelClusters) -> [[Int]] {
        clusters.parents.map { [$0.0, $0.1].sorted() }
    }

    private func steps(_ history: ClusterHistory) -> [[Int]] {
        (0..<history.count).map { step in
            let (one, other) = history.parents(ofStep: step)
            return [one, other ?? -1].sorted()
        }
    }

    /// Turns azimuths to within half a turn.
    private func turn(_ difference: Double) -> Double { difference - 2 * .pi * (difference / (2 * .pi)).rounded() }

    @Test(arguments: RandomJets.Kind.allCases)
    func `every step is FastJet's, and every object too`(kind: RandomJets.Kind) throws {
        let seed = UInt64.random(in: 0...99_999)
        var random = RandomJets(seed: seed)
        var jets = (1...12).map { random.jet(kind, count: $0) }
        for _ in 0..<250 { jets.append(random.jet(kind, count: 1 + Int(random.uniform() * 130))) }
        jets.append(random.jet(kind, count: 400))
        var toBeam = 0, differing = 0, steps = 0
        for (algorithm, scheme, radius) in Self.recipes {
            for (number, jet) in jets.enumerated() {
                let place = "seed \(seed), \(kind) \(number) of \(jet.count), \(algorithm), \(scheme), R \(radius)"
                let history = try FastJet.cluster(
                    px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy, algorithm: algorithm, scheme: scheme,
                    radius: radius)
                let clusters = KernelClusters(jet, algorithm, scheme, radius: radius), lost = clusters.lost
                let own = self.steps(clusters), expected = self.steps(history)
                toBeam += lost
                steps += own.count
                #expect(lost == expected.count { $0[0] == -1 } - 1, "\(place)")
                // Directions that differ by rounding alone may be merged in another order.
                guard kind != .collinear || own == expected else {
                    differing += 1
                    continue
                }
                try #require(own == expected, "\(place)")
                for step in 0..<jet.count {
                    guard let object = history.object(ofStep: step) else { continue }
                    let o = clusters, k = jet.count + step
                    let pt = (object.px * object.px + object.py * object.py).squareRoot()
                    // Rapidity is from the small difference of two large numbers where the mass is small and eta large.
                    let isSame =
                        abs(o.pt[k] - pt) <= 1e-10 * pt && abs(o.y[k] - object.rapidity) < 1e-9
                        && abs(turn(o.phi[k] - object.phi)) < 1e-9
                    try #require(isSame, "\(place), step \(step): \(object), found \(o.pt[k]), \(o.y[k]), \(o.phi[k])")
                    if scheme == .energy {
                        let difference =
                            abs(o.px[k] - object.px) + abs(o.pz[k] - object.pz) + abs(o.energy[k] - object.energy)
                        try #require(difference <= 1e-11 * object.energy, "\(place), step \(step)")
                    }
                }
            }
        }
        if kind == .wide { #expect(toBeam > 1000, "nothing went to the beam") }
        if kind == .collinear { #expect(Double(differing) < 0.9 * Double(jets.count * Self.recipes.count)) }
    }

    @Test func `ties are broken some way, and every constituent is merged once`() throws {
        var random = RandomJets(seed: 7)
        let one = TestJet.momentum(pt: 3, eta: 0.3, phi: 0.2)
        var jets = [TestJet([one]), TestJet([one, one]), TestJet(Array(repeating: one, count: 40))]
        for count in [2, 3, 4, 5, 8, 16, 33] {
            jets.append(
                TestJet(
                    (0..<count).map { index in
                        let turn = 2 * Double.pi * Double(index) / Double(count)
                        return TestJet.momentum(pt: 5, eta: 0.4 * sin(turn), phi: 0.4 * cos(turn))
                    }))
        }
        // Numbers that are no momenta.
        for bad in [0, .infinity, -.infinity, .nan, 1e200, 1e-300, -5] as [Double] {
            for count in [1, 2, 9, 50] {
                var jet = random.jet(.prongs, count: count)
                for column in [\TestJet.px, \.py, \.pz, \.energy] { jet[keyPath: column][count / 2] = bad }
                jets.append(jet)
                jet = TestJet(Array(repeating: [bad, bad, bad, bad], count: count))
                jets.append(jet)
                jet = random.jet(.prongs, count: count)
                jet.px[0] = 0
                jet.py[0] = 0
                jet.pz[0] = bad
                jets.append(jet)
            }
        }
        for (algorithm, scheme, radius) in Self.recipes {
            for jet in jets {
                let clusters = KernelClusters(jet, algorithm, scheme, radius: radius)
                var seen = Set<Int>()
                for step in 0..<jet.count {
                    let (a, b) = clusters.parents[step]
                    for object in [a, b] where object != -1 {
                        #expect(object >= 0 && object < jet.count + step && seen.insert(object).inserted)
                    }
                }
                #expect(seen.isSuperset(of: 0..<jet.count))
            }
        }
    }

    @Test func `particles along the beam are where FastJet puts them`() throws {
        var random = RandomJets(seed: 3)
        var jet = random.jet(.prongs, count: 6)
        for (index, pz) in [(0, 4.0), (3, -2.5)] {
            (jet.px[index], jet.py[index], jet.pz[index], jet.energy[index]) = (0, 0, pz, abs(pz))
        }
        for (algorithm, scheme, radius) in Self.recipes {
            let history = try FastJet.cluster(
                px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy, algorithm: algorithm, scheme: scheme,
                radius: radius)
            #expect(
                steps(KernelClusters(jet, algorithm, scheme, radius: radius)) == steps(history),
                "\(algorithm), \(scheme)")
        }
    }
}
