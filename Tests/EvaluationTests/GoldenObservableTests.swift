import Evaluation
import Foundation
import Testing

/// Observables against those of the original code, FastJet and fjcontrib's definitions on 310 jets, within the tolerances that the golden
/// numbers give.
@Suite(.enabled(if: GoldenJets.isThere, GoldenJets.comment))
struct GoldenObservableTests {
    private let golden: GoldenJets

    init() throws { golden = try GoldenJets() }

    /// Largest difference of a quantity, over what is allowed; and how many were compared.
    private struct Worst {
        var compared = 0
        var excess = 0.0
        var place = ""

        mutating func add(
            _ found: Double, _ expected: Double, within tolerance: Double, _ place: @autoclosure () -> String
        ) {
            compared += 1
            let difference = abs(found - expected) / tolerance
            guard !(difference <= excess) else { return }
            (excess, self.place) = (
                difference.isNaN ? .infinity : difference, "\(place()): \(found), expected \(expected)"
            )
        }
    }

    private func expect(_ worst: Worst, atLeast count: Int, _ name: String) {
        #expect(worst.compared >= count, "\(name): only \(worst.compared) jets were compared")
        #expect(worst.excess <= 1, "\(name), \(worst.place)")
    }

    private func observer(
        _ groups: ObservableGroups, _ change: (inout SubstructureOptions) -> Void = { _ in }
    ) throws -> JetObserver {
        var options = SubstructureOptions()
        change(&options)
        return try JetObserver(groups, options: options)
    }

    @Test func `jet sums are the original's`() throws {
        let observer = try observer(.jet)
        var pt = Worst(), direction = Worst(), mass = Worst()
        for (index, jet) in golden.jets.enumerated() {
            let found = try observer.named(jet), expected = try golden.number("all_mass", index)
            try pt.add(
                #require(found["jet_pt"]), golden.number("all_pt", index),
                within: 1e-10 * golden.number("all_pt", index), "jet \(index)")
            try direction.add(
                #require(found["jet_eta"]), golden.number("all_eta", index), within: 1e-10, "eta \(index)")
            try direction.add(
                #require(found["jet_phi"]), golden.number("all_phi", index), within: 1e-10, "phi \(index)")
            try mass.add(
                #require(found["jet_mass"]), expected, within: abs(expected) < 0.1 ? 1e-3 : 1e-6 + 1e-9 * expected,
                "jet \(index)")
            #expect(found["multiplicity"] == Double(jet.count))
        }
        expect(pt, atLeast: 310, "jet_pt")
        expect(direction, atLeast: 620, "direction")
        expect(mass, atLeast: 310, "jet_mass")
    }

    @Test(arguments: ["escheme", "wta", "beta2"])
    func `N-subjettiness and D2 are the original's`(recipe: String) throws {
        let observer = try observer([.nsubjettiness, .correlators]) {
            $0.recombination = recipe == "wta" ? .winnerTakesAll : .energy
            $0.exponent = recipe == "beta2" ? .two : .one
        }
        let flag = recipe == "wta" ? "wta" : "escheme"
        var taus = Worst(), ratios = Worst(), shape = Worst(), pairs = Worst()
        for (index, jet) in golden.jets.enumerated() where jet.count >= 3 {
            guard try !golden.isSensitive(flag, index) else { continue }
            let found = try observer.named(jet), place = "\(golden.kinds[index]) \(index)"
            for n in 1...3 {
                // With as many constituents as axes the original has rounding in place of 0.
                let expected = try golden.number("\(recipe)_tau\(n)", index)
                try taus.add(#require(found["tau\(n)"]), expected, within: 1e-9, "tau\(n) of \(place)")
            }
            for n in 2...3 where try golden.number("\(recipe)_tau\(n - 1)", index) > 1e-6 {
                let name = "tau\(n)\(n - 1)"
                try ratios.add(
                    #require(found[name]), golden.number("\(recipe)_\(name)", index), within: 1e-9,
                    "\(name) of \(place)")
            }
            let sum = try golden.number("ecf1_b1", index), second = try golden.number("ecf2_b1", index) / sum / sum
            if recipe == "escheme" {
                try pairs.add(#require(found["e2"]), second, within: 1e-12, "e2 of \(place)")
                try pairs.add(
                    #require(found["e3"]), golden.number("ecf3_b1", index) / sum / sum / sum, within: 1e-12,
                    "e3 of \(place)")
            }
            if second > 1e-4 {
                let expected = try golden.number("\(recipe)_d2", index)
                try shape.add(#require(found["d2"]), expected, within: 1e-9 * max(1, expected), "D2 of \(place)")
                if recipe == "escheme" {
                    try shape.add(#require(found["c2"]), golden.number("c2_b1", index), within: 1e-9, "C2 of \(place)")
                }
            }
        }
        expect(taus, atLeast: 800, "taus")
        expect(ratios, atLeast: 400, "ratios")
        expect(shape, atLeast: 200, "D2, C2")
        if recipe == "escheme" { expect(pairs, atLeast: 550, "e2, e3") }
    }

    @Test func `taus of the literature are those of FastJet's axes, and one pass of minimising comes to the same`()
        throws
    {
        let observer = try observer([.literature, .onePass])
        var axes = Worst(), moved = Worst()
        for (index, jet) in golden.jets.enumerated() {
            let found = try observer.named(jet), place = "\(golden.kinds[index]) \(index)"
            for n in 1...4 {
                for scheme in ["kt", "wta"] where try !golden.isSensitive(scheme == "kt" ? "escheme" : "wta", index) {
                    let name = "tau\(n)_\(scheme)"
                    try axes.add(
                        #require(found[name]), golden.number("literature_\(scheme)_tau\(n)", index), within: 1e-9,
                        "\(name) of \(place)")
                    let expected = try golden.number("literature_onepass_\(scheme)_tau\(n)", index)
                    try moved.add(
                        #require(found["tau\(n)_onepass_\(scheme)"]), expected, within: 1e-3 * expected + 1e-9,
                        "one pass, \(name) of \(place)")
                }
            }
        }
        expect(axes, atLeast: 2000, "axes of FastJet")
        expect(moved, atLeast: 2000, "one pass")
    }

    @Test func `soft drop is FastJet's`() throws {
        let plain = try observer(.groomed), angular = try observer(.groomed) { $0.softDropExponent = 1 }
        var masses = Worst(), branches = Worst(), momenta = Worst()
        for (index, jet) in golden.jets.enumerated() where try !golden.isSensitive("sd", index) {
            var recipes = [("sd_all", plain)]
            // The golden numbers with an angular exponent are of the exclusive jet: where it has all constituents.
            if try golden.number("jet_n_constituents", index) == Double(jet.count), jet.count > 2,
                try !golden.isSensitive("escheme", index),
                try abs(golden.number("ecf1_b1", index) / golden.scalarSum(index) - 1) < 1e-9
            {
                recipes.append(("sd_z01b1", angular))
            }
            for (prefix, observer) in recipes {
                let found = try observer.named(jet), place = "\(prefix), \(golden.kinds[index]) \(index)"
                let expected = try golden.number("\(prefix)_mass", index)
                try masses.add(#require(found["sd_mass"]), expected, within: 1e-3, place)
                // Without mass all are of one direction, and distances that are equal but for rounding decide; so they do in regular polygons.
                guard expected > 0.1, golden.kinds[index] != "polygon" else { continue }
                try momenta.add(
                    #require(found["sd_pt"]), golden.number("\(prefix)_pt", index),
                    within: 1e-9 * golden.number("\(prefix)_pt", index), place)
                for (name, key) in [("sd_zg", "z"), ("sd_rg", "dR")] {
                    let number = try golden.number("\(prefix)_\(key)", index), own = try #require(found[name])
                    // Where nothing passes FastJet's numbers are negative.
                    if number < 0 {
                        #expect(own.isNaN, "\(place)")
                    } else {
                        branches.add(own, number, within: 1e-9, "\(name) of \(place)")
                    }
                }
            }
        }
        expect(masses, atLeast: 400, "masses")
        expect(momenta, atLeast: 350, "pt")
        expect(branches, atLeast: 500, "branches")
    }
}

extension GoldenJets {
    /// The sum of pt of a jet's constituents.
    func scalarSum(_ jet: Int) -> Double {
        zip(jets[jet].px, jets[jet].py).reduce(0) { $0 + ($1.0 * $1.0 + $1.1 * $1.1).squareRoot() }
    }
}
