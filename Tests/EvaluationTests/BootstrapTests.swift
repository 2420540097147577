import Evaluation
import Foundation
import TestSupport
import Testing

@Suite("Uncertainties")
struct BootstrapTests {
    private static let quantity = Quantity("jet_mass", unit: "GeV")

    private func options(replicas: Int = 200, seed: UInt64 = 0, threads: Int = 2) -> Comparison.Options {
        var options = Comparison.Options()
        options.bootstrap = Bootstrap(replicas: replicas, seed: seed)
        options.threads = threads
        options.bootstrap?.threads = threads
        return options
    }

    @Test("the width agrees with the spread over independent samples", arguments: [false, true])
    func width(isInteger: Bool) throws {
        var drawn = Drawn(isInteger ? 12 : 11)
        let runs = 120
        var values: [Metric: [Double]] = [:], errors: [Metric: [Double]] = [:]
        var options = options()
        options.floorSplits = 0
        for run in 0..<runs {
            func draw(_ count: Int, _ mean: Double, _ width: Double) -> NamedEntries {
                let values = drawn.normal(count, mean: mean, width: width)
                return NamedEntries("run \(run)", isInteger ? values.map { $0.rounded() } : values)
            }
            let found = try Comparison(
                Quantity("n", isInteger: isInteger), reference: draw(6000, 50, 8), others: [draw(3000, 52, 10)],
                options: options)
            for metric in Metric.allCases where !(isInteger && metric == .klReleased) {
                let value = try #require(found.others[0][metric])
                values[metric, default: []].append(value.value)
                errors[metric, default: []].append(value.error)
                #expect(value.notFinite == 0)
            }
        }
        #expect(values.count == (isInteger ? 4 : 5))
        for (metric, values) in values {
            let mean = values.reduce(0, +) / Double(runs)
            let spread = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(runs - 1)).squareRoot()
            let error = try #require(errors[metric]).reduce(0, +) / Double(runs)
            // The spread of 120 runs is known to 6.5%, and a bootstrap of a divergence is some percent too wide.
            #expect(error / spread > 0.8 && error / spread < 1.25, "\(metric): \(error) beside \(spread)")
        }
    }

    @Test("the same seed gives the same numbers on any number of threads, another seed others")
    func reproducibility() throws {
        var drawn = Drawn(13)
        let reference = NamedEntries("reference", drawn.normal(9000))
        let other = NamedEntries("other", drawn.normal(7000, mean: 0.1))
        func found(_ seed: UInt64, _ threads: Int) throws -> Comparison.Row {
            try Comparison(
                Self.quantity, reference: reference, others: [other], options: options(seed: seed, threads: threads)
            ).others[0]
        }
        let once = try found(1, 1)
        for threads in [1, 2, 3] {
            let again = try found(1, threads)
            for metric in Metric.allCases { #expect(again[metric] == once[metric], "\(metric), \(threads) threads") }
        }
        for metric in Metric.allCases { #expect(try found(2, 1)[metric]?.error != once[metric]?.error) }
        for metric in Metric.allCases { #expect(try found(2, 1)[metric]?.value == once[metric]?.value) }
    }

    @Test("samples of whole numbers and samples with ties have the same width by counts and by entries")
    func counts() throws {
        var drawn = Drawn(14)
        func draw(_ count: Int) -> [Double] { drawn.normal(count, mean: 40, width: 6).map { $0.rounded() } }
        let reference = draw(5000), other = draw(4000)
        func width(_ scale: Double, _ shift: Double) throws -> Double {
            let found = try Comparison(
                Self.quantity, reference: NamedEntries("r", reference.map { $0 * scale + shift }),
                others: [NamedEntries("o", other.map { $0 * scale + shift })], options: options(replicas: 1000))
            return try #require(found.others[0][.wasserstein]).error / scale
        }
        let byCounts = try width(1, 0), byEntries = try width(0.5, 0.25)
        #expect(agree(byCounts, byEntries, relative: 0.15), "\(byCounts), \(byEntries)")
    }

    @Test("the floor is what halves of the reference differ by, and entries that are not finite are counted")
    func floor() throws {
        var drawn = Drawn(15)
        let reference = NamedEntries("truth", drawn.normal(8000) + [.nan, .infinity])
        let same = NamedEntries("same", drawn.normal(4000)), far = NamedEntries("far", drawn.normal(4000, mean: 1))
        let found = try Comparison(Self.quantity, reference: reference, others: [same, far], options: options())
        #expect(found.reference.dropped == 2 && found.reference.count == 8000 && found.others[0].dropped == 0)
        for metric in Metric.allCases {
            let floor = try #require(found.reference[metric])
            let near = try #require(found.others[0][metric]), away = try #require(found.others[1][metric])
            #expect(floor.value > 0 && near.value < 3 * floor.value && away.value > 5 * floor.value, "\(metric)")
        }
        let none = #expect(throws: EvaluationError.self) {
            try Comparison(Self.quantity, reference: reference, others: [NamedEntries("none", [.nan])])
        }
        #expect(none?.description.contains("jet_mass of none") == true)
    }

    @Test("a reference with few entries has replicas that are infinite, and says so")
    func smallReference() throws {
        var drawn = Drawn(16)
        let found = try Comparison(
            Self.quantity, reference: NamedEntries("r", drawn.normal(60)),
            others: [NamedEntries("o", drawn.normal(500))],
            options: options())
        let kl = try #require(found.others[0][.kl])
        #expect(kl.value.isFinite && kl.notFinite > 100 && kl.error == .infinity)
        #expect(try #require(found.others[0][.wasserstein]).notFinite == 0)
        let data = try JSONEncoder().encode(found)
        #expect(try JSONDecoder().decode(Comparison.self, from: data).others[0][.kl]?.error == .infinity)
    }
}
