import Foundation
import Kernels

/// Computes features of jets and writes them as batches.
///
/// In double precision, rounded to float32 at the end; the same bits on every machine.
/// Definitions: relative coordinates to the axis of all stored constituents, without PUPPI weights, as in OmniJet-alpha
/// (arXiv:2403.05618); the order of operations is that of its `ak_select_and_preprocess` and `ak_pad`.
public struct FeatureAssembler: Sendable {
    /// What it computes.
    public let configuration: FeatureConfiguration
    /// Names of stored fields that it reads: the order of `FeatureInput.fields`.
    public let fields: [String]
    /// Columns that it reads.
    public let needs: FeatureNeeds
    /// Names of stored jet fields that the jet features read, in the order in which `assembleJets` takes them.
    public let jetFields: [String]
    let constituents: CompiledFeatures
    let jets: CompiledFeatures

    /// Prepares a configuration for a dataset with these stored fields of constituents and of jets.
    public init(
        _ configuration: FeatureConfiguration, storedFields: [String] = [], jetFields: [String] = []
    ) throws(LoaderError) {
        self.configuration = configuration
        jets = try CompiledFeatures(configuration.jetFeatures) { feature throws(LoaderError) in
            guard jetFields.contains(feature.name) else {
                throw LoaderError(
                    .feature, place: "jet feature \(feature.name)",
                    message: "there is no such field of jets; known are \(jetFields.joined(separator: ", "))")
            }
            return FeatureName(storedField: feature.name)
        }
        self.jetFields = jets.fields
        constituents = try CompiledFeatures(configuration.features) {
            feature throws(LoaderError) in
            guard let known = FeatureName(feature.name, storedFields: storedFields) else {
                throw LoaderError(
                    .feature, place: "feature \(feature.name)",
                    message: "there is no such feature; known are "
                        + (Self.knownNames + storedFields).joined(separator: ", "))
            }
            return known
        }
        fields = constituents.fields
        var needs = constituents.needs
        if needs.contains(.axis) {
            switch configuration.axis {
            case .constituents: break
            case .puppi: needs.insert(.puppiWeight)
            case .stored:
                needs.insert(.storedAxis)
                if constituents.kernels.contains(where: { $0.source == PANDO_FEATURE_EREL.rawValue }) {
                    throw LoaderError(
                        .feature, place: "feature part_erel", message: "the stored axis has no energy",
                        advice: "take the axis constituents or puppi")
                }
            }
        }
        self.needs = needs
    }

    /// Whether a feature is made from this.
    func refers(to source: pando_feature_source) -> Bool {
        constituents.kernels.contains { $0.source == Int32(source.rawValue) }
    }

    /// The names that every dataset has, without the short ones.
    public static var knownNames: [String] { FeatureName.known.map(\.name) }

    /// Undoes multiplication, subtraction and function: `inverse(y / multiplyBy + subtractBy)`. Cuts, bins and clips have
    /// no inverse.
    ///
    /// - Parameters:
    ///   - values: `[rows, features]`.
    ///   - mask: one number a row; rows where it is 0 become 0. Nil: all rows count.
    ///   - output: `[rows, features]`; may be the memory of `values`.
    public func inverse(
        _ values: UnsafePointer<Float>, mask: UnsafePointer<UInt8>? = nil, rows: Int,
        into output: UnsafeMutablePointer<Float>
    ) {
        for (column, feature) in configuration.features.enumerated() {
            var at = column
            for row in 0..<rows {
                if let mask, mask[row] == 0 {
                    output[at] = 0
                } else {
                    let x = Double(values[at]) / feature.multiplyBy + feature.subtractBy
                    output[at] = Float(feature.function == .log ? exp(x) : x)
                }
                at += configuration.features.count
            }
        }
    }
}
