import Kernels

/// A list of features as the kernels take it.
struct CompiledFeatures: Sendable {
    /// One entry a feature.
    let kernels: [pando_feature]
    /// Edges of all bins.
    let edges: [Double]
    /// Stored fields that they read, each once.
    let fields: [String]
    /// Columns that they read.
    let needs: FeatureNeeds

    /// Compiles features; `known` says what a name means.
    init(
        _ features: [Feature], known: (Feature) throws(LoaderError) -> FeatureName
    ) throws(LoaderError) {
        var fields: [String] = [], edges: [Double] = [], kernels: [pando_feature] = []
        var needs: FeatureNeeds = []
        for feature in features {
            let known = try known(feature)
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
        self.kernels = kernels
        self.edges = edges
        self.fields = fields
        self.needs = needs
    }
}
