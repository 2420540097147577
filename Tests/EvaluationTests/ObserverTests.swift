import Evaluation
import FastJet
import Foundation
import Testing

/// What holds of observables whoever computes them, and what is agreed on for jets that have none.
struct ObserverTests {
    private static let all = ObservableGroups.all.subtracting(.types)

    private func jets(_ count: Int, seed: UInt64) -> [TestJet] {
        var random = RandomJets(seed: seed)
        return (0..<count).map { number in
            let kind = RandomJets.Kind.allCases[number % RandomJets.Kind.allCases.count]
            return random.jet(kind, count: 1 + Int(random.uniform() * 120))
        }
    }

    @Test func `names are different, and groups say what they hold`() throws {
        let names = Observable.all.map(\.name)
        #expect(Set(names).count == names.count && names.count == 59)
        #expect(ObservableGroups.original.observables.map(\.name).prefix(6).last == "tau1")
        #expect(Observable.named("sd_mass")?.unit == "GeV" && Observable.named("n_photon")?.isInteger == true)
        for group in [.jet, .nsubjettiness, .correlators, .groomed, .literature, .onePass, .types] as [ObservableGroups]
        {
            #expect(try JetObserver(group).observables == group.observables && !group.observables.isEmpty)
        }
    }

    @Test func `a jet without constituents has no observables`() throws {
        let values = try JetObserver(.all).observe(px: [], py: [], pz: [], energy: [])
        #expect(values.count == 59 && values.allSatisfy(\.isNaN))
    }

    @Test func `tau_N is 0 with at most N constituents, and ratios over nothing are not defined`() throws {
        var random = RandomJets(seed: 2)
        let observer = try JetObserver(Self.all)
        for count in 1...6 {
            let found = try observer.named(random.jet(.prongs, count: count))
            #expect(found["multiplicity"] == Double(count))
            for recipe in ["", "_kt", "_wta", "_onepass_kt", "_onepass_wta"] {
                for n in 1...4 {
                    let tau = try #require(found["tau\(n)\(recipe)"])
                    #expect(count <= n ? tau == 0 : tau > 0, "tau\(n)\(recipe) of \(count)")
                }
                for n in 2...4 {
                    let ratio = try #require(found["tau\(n)\(n - 1)\(recipe)"])
                    #expect(count <= n - 1 ? ratio.isNaN : count <= n ? ratio == 0 : ratio > 0)
                }
            }
            #expect(found["c2_all"]?.isNaN == (count < 2) && (found["e3_all"] == 0) == (count < 3))
            #expect(found["sd_multiplicity"].map { $0 >= 1 && $0 <= Double(count) } == true)
            #expect(count > 1 || (found["sd_zg"]?.isNaN == true && found["sd_rg"]?.isNaN == true))
        }
        let one = TestJet.momentum(pt: 10, eta: 0.5, phi: 1)
        let found = try observer.named(TestJet(Array(repeating: one, count: 6)))
        for name in ["tau21", "tau32_wta", "tau43_onepass_kt", "c2", "d2", "d2_all"] {
            #expect(found[name]?.isNaN == true, "\(name) of identical constituents")
        }
        #expect(found["jet_pt"].map { abs($0 - 60) < 1e-12 } == true)
    }

    @Test func `a minimum of constituents leaves out substructure alone`() throws {
        var options = SubstructureOptions()
        options.minimumConstituents = 3
        let observer = try JetObserver(Self.all, options: options)
        var random = RandomJets(seed: 4)
        for count in [1, 2, 3] {
            let found = try observer.named(random.jet(.prongs, count: count))
            for (name, value) in found {
                let isSum = name.hasPrefix("jet_") || name == "multiplicity"
                if isSum || count < 3 { #expect(value.isNaN == !isSum, "\(name)") }
            }
            #expect(found["tau1"]?.isNaN == (count < 3))
        }
    }

    @Test func `momenta that are no numbers make no jet, whatever they are`() throws {
        var random = RandomJets(seed: 6)
        let observer = try JetObserver(Self.all)
        for bad in [Double.nan, .infinity, -.infinity, 1e200] {
            var jet = random.jet(.prongs, count: 20)
            jet.pz[7] = bad
            #expect(try observer.named(jet).values.allSatisfy(\.isNaN))
        }
        // Odd, but numbers.
        for odd in [0, -5, 1e-300, 1e40] {
            for column in [\TestJet.px, \.py, \.pz, \.energy] {
                var jet = random.jet(.prongs, count: 20)
                jet[keyPath: column][7] = odd
                #expect(try observer.named(jet)["multiplicity"] == 20)
                #expect(
                    try observer.named(TestJet(Array(repeating: [odd, odd, odd, odd], count: 9)))["multiplicity"] == 9)
            }
        }
    }

    @Test func `what cannot be observed is refused in words`() throws {
        let observer = try JetObserver()
        #expect(throws: ObservableError.self) { try observer.observe(px: [1], py: [1], pz: [1], energy: []) }
        #expect(throws: ObservableError.self) {
            try observer.observe(px: [1], py: [1], pz: [1], energy: [2], types: [.photon, .muon])
        }
        let many = [Double](repeating: 1, count: JetObserver.mostConstituents + 1)
        let error = #expect(throws: ObservableError.self) {
            try observer.observe(px: many, py: many, pz: many, energy: many)
        }
        #expect(error?.description.contains("4097 constituents, at most 4096") == true)
        let changes: [(inout SubstructureOptions) -> Void] = [
            { $0.radius = 0 }, { $0.radius = .nan }, { $0.softDropCut = 0.5 }, { $0.softDropRadius = -1 },
            { $0.softDropExponent = .infinity }, { $0.minimumConstituents = -1 },
        ]
        for change in changes {
            var options = SubstructureOptions()
            change(&options)
            #expect(throws: ObservableError.self) { try JetObserver(options: options) }
        }
    }

    @Test func `an observer forgets the jet before`() throws {
        let seed = UInt64.random(in: 0...99_999), used = try JetObserver(Self.all)
        for (number, jet) in jets(300, seed: seed).enumerated() {
            let expected = try JetObserver(Self.all).observe(px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy)
            let found = try used.observe(px: jet.px, py: jet.py, pz: jet.pz, energy: jet.energy)
            try #require(
                zip(found, expected).allSatisfy { $0.bitPattern == $1.bitPattern }, "seed \(seed), jet \(number)")
        }
    }

    @Test func `groups give the same alone as together`() throws {
        let seed = UInt64.random(in: 0...99_999), together = try JetObserver(Self.all)
        let groups: [ObservableGroups] = [
            .jet, .nsubjettiness, .correlators, .groomed, .literature, .onePass, [.literature, .correlators],
            [.nsubjettiness, .onePass],
        ]
        let alone = try groups.map { try JetObserver($0) }
        for jet in jets(100, seed: seed) {
            let expected = try together.named(jet)
            for observer in alone {
                for (name, value) in try observer.named(jet) {
                    let other = try #require(expected[name])
                    try #require(
                        value.bitPattern == other.bitPattern || value.isNaN && other.isNaN, "seed \(seed), \(name)")
                }
            }
        }
    }

    @Test func `observables do not depend on the order of constituents, on azimuth, or on the unit of momenta`() throws
    {
        let seed = UInt64.random(in: 0...99_999), observer = try JetObserver(Self.all)
        var compared = 0
        for (number, jet) in jets(300, seed: seed).enumerated() {
            let expected = try observer.named(jet)
            // Of one direction: distances are rounding.
            guard expected["tau1", default: 0] > 1e-5 else { continue }
            let order = jet.px.indices.reversed().map { $0 }
            let turned = 1.0, c = cos(turned), s = sin(turned)
            let rows = order.map { i in
                [
                    4 * (c * jet.px[i] - s * jet.py[i]), 4 * (s * jet.px[i] + c * jet.py[i]), 4 * jet.pz[i],
                    4 * jet.energy[i],
                ]
            }
            for (name, value) in try observer.named(TestJet(rows)) where name != "jet_phi" {
                let isMomentum = ["jet_pt", "sd_pt", "jet_mass", "sd_mass"].contains(name)
                let number0 = try #require(expected[name]) * (isMomentum ? 4 : 1)
                let isMass = name.hasSuffix("mass")
                let scale = isMass ? max(1, try #require(expected["jet_pt"])) : max(1, abs(number0))
                // The axes that minimising comes to have no more digits than its last move.
                let tolerance = name.contains("onepass") ? 1e-3 : isMass ? 1e-6 : 1e-8
                try #require(
                    value.isNaN && number0.isNaN || abs(value - number0) <= tolerance * scale,
                    "seed \(seed), jet \(number) of \(jet.count), \(name): \(value), expected \(number0)")
                compared += 1
            }
        }
        #expect(compared > 5000)
    }

    // It ends with moves of 1e-4.
    @Test func `minimising never makes tau much larger, and makes it smaller on average`() throws {
        let observer = try JetObserver([.literature, .onePass])
        var sums: [String: (before: Double, after: Double)] = [:]
        for jet in jets(400, seed: 8) {
            let found = try observer.named(jet)
            for n in 1...4 {
                for seed in ["kt", "wta"] {
                    let before = try #require(found["tau\(n)_\(seed)"]),
                        after = try #require(found["tau\(n)_onepass_\(seed)"])
                    #expect(after <= 1.05 * before + 2e-4)
                    sums["\(n)\(seed)", default: (0, 0)].before += before
                    sums["\(n)\(seed)", default: (0, 0)].after += after
                }
            }
        }
        for (name, sum) in sums { #expect(sum.after < sum.before, "\(name)") }
        #expect(sums.count == 8)
    }

    @Test func `types of constituents are counted`() throws {
        let observer = try JetObserver(.types)
        let types: [ConstituentType] = [.photon, .photon, .muon, .chargedHadron, .other]
        let ones = [1.0, 2, 3, 4, 5], energy = [20.0, 20, 20, 20, 20]
        let found = try observer.observe(px: ones, py: ones, pz: ones, energy: energy, types: types)
        #expect(found == [1, 0, 2, 0, 1, 1])
        #expect(try observer.observe(px: ones, py: ones, pz: ones, energy: energy) == [0, 0, 0, 0, 0, 5])
    }

    @Test func `correlators are the sums over pairs and triples`() throws {
        let observer = try JetObserver(.literature)
        for (number, jet) in jets(60, seed: 12).enumerated() where jet.count < 60 {
            let all = (0..<jet.count).map { i in
                let kt2 = jet.px[i] * jet.px[i] + jet.py[i] * jet.py[i]
                let y = 0.5 * log((jet.energy[i] + jet.pz[i]) / (jet.energy[i] - jet.pz[i]))
                return (pt: kt2.squareRoot(), y: y, phi: atan2(jet.py[i], jet.px[i]))
            }
            func distance(_ a: Int, _ b: Int) -> Double {
                let phi = abs(all[a].phi - all[b].phi)
                return hypot(all[a].y - all[b].y, phi > .pi ? 2 * .pi - phi : phi)
            }
            var pairs = 0.0, triples = 0.0
            let sum = all.reduce(0) { $0 + $1.pt }
            for i in all.indices {
                for j in 0..<i {
                    let pair = all[i].pt * all[j].pt * distance(i, j)
                    pairs += pair
                    for k in 0..<j { triples += pair * all[k].pt * distance(i, k) * distance(j, k) }
                }
            }
            let found = try observer.named(jet)
            guard pairs / sum / sum > 1e-5 else { continue }
            // The plain formula of rapidity has fewer digits.
            #expect(
                abs(found["e2_all", default: .nan] / (pairs / sum / sum) - 1) < 1e-7, "jet \(number) of \(jet.count)")
            #expect(
                jet.count < 3 || abs(found["e3_all", default: .nan] / (triples / sum / sum / sum) - 1) < 1e-7,
                "jet \(number)")
        }
    }
}
