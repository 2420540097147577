import Foundation
import Kernels

/// Which columns the features of an assembler need.
public struct FeatureNeeds: OptionSet, Sendable, Equatable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// px, py, pz, or pt, eta, phi.
    public static let momenta = FeatureNeeds(rawValue: 1)
    /// E, or the mass beside pt, eta, phi.
    public static let energy = FeatureNeeds(rawValue: 2)
    /// The axes of jets, or momenta and energies of all constituents.
    public static let axis = FeatureNeeds(rawValue: 4)
}

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
    private let kernels: [pando_feature]
    private let edges: [Double]

    /// Prepares a configuration for a dataset with these stored constituent fields.
    public init(_ configuration: FeatureConfiguration, storedFields: [String] = []) throws(LoaderError) {
        self.configuration = configuration
        var fields: [String] = [], edges: [Double] = [], kernels: [pando_feature] = []
        var needs: FeatureNeeds = []
        for feature in configuration.features {
            guard let known = FeatureName(feature.name, storedFields: storedFields) else {
                throw LoaderError(
                    .feature, place: "feature \(feature.name)",
                    message: "there is no such feature; known are "
                        + (Self.knownNames + storedFields).joined(separator: ", "))
            }
            needs.formUnion(known.needs)
            var kernel = pando_feature()
            kernel.source = known.source
            if let field = known.field {
                if !fields.contains(field) { fields.append(field) }
                kernel.field = Int32(fields.firstIndex(of: field) ?? 0)
            }
            (kernel.code, kernel.other_code) = known.codes
            kernel.subtract = feature.subtractBy
            kernel.multiply = feature.multiplyBy
            var operations: UInt32 = feature.function == .log ? PANDO_FEATURE_LOG.rawValue : 0
            func optional(_ value: Double?, _ flag: pando_feature_operations) -> Double {
                if value != nil { operations |= flag.rawValue }
                return value ?? 0
            }
            kernel.larger = optional(feature.largerThan, PANDO_FEATURE_LARGER)
            kernel.smaller = optional(feature.smallerThan, PANDO_FEATURE_SMALLER)
            kernel.clip_min = optional(feature.clipMin, PANDO_FEATURE_CLIP_MIN)
            kernel.clip_max = optional(feature.clipMax, PANDO_FEATURE_CLIP_MAX)
            if let binning = feature.binning {
                operations |= PANDO_FEATURE_BINS.rawValue
                kernel.edge = Int32(edges.count)
                kernel.edges = Int32(binning.all.count)
                edges += binning.all
            }
            kernel.operations = Int32(operations)
            kernels.append(kernel)
        }
        self.fields = fields
        self.needs = needs
        self.kernels = kernels
        self.edges = edges
    }

    /// The names that every dataset has, without the short ones.
    public static var knownNames: [String] { FeatureName.known.map(\.name) }

    /// Writes jets into a padded batch.
    ///
    /// - Parameters:
    ///   - values: `[jets, padLength, features]` float32, row-major; slots without a constituent become 0.
    ///   - mask: `[jets, padLength]`, 1 where there is a constituent.
    public func assemble(
        _ input: FeatureInput, jets: some RandomAccessCollection<JetSpan>, values: UnsafeMutablePointer<Float>,
        mask: UnsafeMutablePointer<UInt8>
    ) throws(LoaderError) {
        try check(input)
        let length = configuration.padLength, width = kernels.count
        input.withKernelInput { columns in
            var values = values, mask = mask
            for jet in jets {
                let kept = write(jet, input, &columns, limit: length, to: values)
                (values + kept * width).update(repeating: 0, count: (length - kept) * width)
                mask.update(repeating: 1, count: kept)
                (mask + kept).update(repeating: 0, count: length - kept)
                values += length * width
                mask += length
            }
        }
    }

    /// Writes jets into a jagged batch: the slots of the padded one that hold a constituent, without gaps.
    ///
    /// - Parameters:
    ///   - values: room for `[sum of min(count, padLength), features]` float32.
    ///   - offsets: jets + 1 numbers; the first is read (where this batch begins in `values`), the others are written.
    /// - Returns: the last offset.
    @discardableResult
    public func assembleJagged(
        _ input: FeatureInput, jets: some RandomAccessCollection<JetSpan>, values: UnsafeMutablePointer<Float>,
        offsets: UnsafeMutablePointer<Int32>
    ) throws(LoaderError) -> Int {
        try check(input)
        let width = kernels.count
        var row = Int(offsets[0])
        input.withKernelInput { columns in
            var next = offsets + 1
            for jet in jets {
                row += write(jet, input, &columns, limit: configuration.padLength, to: values + row * width)
                next.pointee = Int32(row)
                next += 1
            }
        }
        return row
    }

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
                at += kernels.count
            }
        }
    }

    @inline(__always)
    private func write(
        _ jet: JetSpan, _ input: FeatureInput, _ columns: inout pando_feature_input, limit: Int,
        to values: UnsafeMutablePointer<Float>
    ) -> Int {
        var axis = pando_jet_axis()
        if let axes = input.axes {
            let given = axes[jet.axis]
            axis = pando_jet_axis(pt: given.pt, eta: given.eta, phi: given.phi, energy: given.energy)
        } else if needs.contains(.axis) {
            pando_jet_axis_of(&columns, jet.start, jet.count, &axis)
        }
        return pando_features(
            kernels, kernels.count, edges, &columns, jet.start, jet.count, &axis, limit, values)
    }

    /// Whether all columns are there that the features need.
    private func check(_ input: FeatureInput) throws(LoaderError) {
        let sums = needs.contains(.axis) && input.axes == nil
        let cartesian = input.px != nil && input.py != nil && input.pz != nil
        let angular = input.pt != nil && input.eta != nil && input.phi != nil
        var missing: [String] = []
        if sums || needs.contains(.momenta), !cartesian, !angular { missing.append("px, py, pz or pt, eta, phi") }
        if sums || needs.contains(.energy), input.energy == nil, !(angular && input.mass != nil) {
            missing.append("energy, or mass beside pt, eta, phi")
        }
        for (number, name) in fields.enumerated() where number >= input.fields.count || input.fields[number] == nil {
            missing.append(name)
        }
        if !missing.isEmpty {
            throw LoaderError(
                .feature, place: "input", message: "columns are missing: \(missing.joined(separator: "; "))")
        }
    }
}
