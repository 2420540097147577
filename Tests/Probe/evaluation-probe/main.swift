// Metrics of samples that Python wrote, as JSON:
//   evaluation-probe CASES.json VALUES     one object a case; VALUES holds float64 numbers that the cases point into
import Evaluation
import Foundation

/// A stretch of the numbers.
struct Stretch: Decodable {
    var start: Int
    var count: Int
}

struct Case: Decodable {
    var reference: Stretch
    var generated: Stretch
    var referenceWeights: Stretch?
    var generatedWeights: Stretch?
    var isInteger: Bool?
    var bins: Int?
    var edges: Int?
    var threads: Int?
    /// Replicas of the uncertainties; none by default.
    var replicas: Int?
}

struct Fit: Decodable {
    var points: [ScalingPoint]
    var weighting: PowerLaw.Weighting
    var leavingOutSaturated: Bool
}

struct Asked: Decodable {
    var cases: [Case]?
    var fits: [Fit]?
}

/// What JSON has no number for is a text.
func number(_ value: Double) -> Any { value.isFinite ? value : value.isNaN ? "nan" : value > 0 ? "inf" : "-inf" }

func metrics(_ asked: Case, _ values: [Double]) throws -> [String: Any] {
    func numbers(_ stretch: Stretch) -> [Double] { Array(values[stretch.start..<stretch.start + stretch.count]) }
    let threads = asked.threads ?? 1
    let reference = try Sample(
        numbers(asked.reference), weights: asked.referenceWeights.map(numbers), threads: threads)
    let generated = try Sample(
        numbers(asked.generated), weights: asked.generatedWeights.map(numbers), threads: threads)
    var found: [String: Any] = ["w1": number(try Distance.wasserstein(generated, reference, threads: threads))]
    guard reference.weights == nil, generated.weights == nil else { return found }
    let bins = try ProbabilityBins(
        reference: reference, count: asked.bins ?? 50, isInteger: asked.isInteger ?? false)
    found["ks"] = number(try Distance.kolmogorovSmirnov(generated, reference, threads: threads))
    found["kl"] = number(try Divergence.kl(generated, reference: reference, bins: bins))
    found["js"] = number(try Divergence.jensenShannon(generated, reference: reference, bins: bins))
    found["kl_released"] = number(try Divergence.released(generated, reference: reference, edges: asked.edges ?? 50))
    found["edges"] = bins.edges.map(number)
    if let replicas = asked.replicas {
        var options = Comparison.Options()
        options.bins = asked.bins ?? 50
        options.bootstrap?.replicas = replicas
        options.threads = threads
        let comparison = try Comparison(
            Quantity("x", isInteger: asked.isInteger ?? false),
            reference: NamedEntries("reference", numbers(asked.reference)),
            others: [NamedEntries("generated", numbers(asked.generated))], options: options)
        found["errors"] = comparison.others[0].metrics.mapValues { number($0.error) }
        found["floor"] = comparison.reference.metrics.mapValues { number($0.value) }
    }
    return found
}

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
    FileHandle.standardError.write(Data("usage: evaluation-probe CASES.json VALUES\n".utf8))
    exit(64)
}
let asked = try JSONDecoder().decode(Asked.self, from: Data(contentsOf: URL(fileURLWithPath: arguments[1])))
let bytes = try Data(contentsOf: URL(fileURLWithPath: arguments[2]))
let values = bytes.withUnsafeBytes { bytes in
    (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) }
}
let found: [String: Any] = [
    "cases": try (asked.cases ?? []).map { try metrics($0, values) },
    "fits": try (asked.fits ?? []).map { fit -> [String: Any] in
        let law = try PowerLaw(
            fitting: fit.points, weighting: fit.weighting, leavingOutSaturated: fit.leavingOutSaturated)
        return [
            "exponent": law.exponent, "exponentError": law.exponentError, "logAmplitude": law.logAmplitude,
            "logAmplitudeError": law.logAmplitudeError, "used": law.used,
        ]
    },
]
print(String(decoding: try JSONSerialization.data(withJSONObject: found, options: .sortedKeys), as: UTF8.self))
