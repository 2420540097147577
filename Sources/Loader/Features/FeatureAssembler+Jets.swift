import Kernels

extension FeatureAssembler {
    /// Writes the features of jets, without a heap allocation.
    ///
    /// - Parameters:
    ///   - fields: The columns that `jetFields` names, in that order.
    ///   - rows: How many jets.
    ///   - slots: The row of the output that each jet goes to; nil: the same order. The caller answers for the room.
    ///   - values: `[rows, jetFeatures]` float32, row-major.
    /// - Throws: `LoaderError` with code `feature` if columns are missing or slots make no sense.
    public func assembleJets(
        _ fields: some RandomAccessCollection<JetColumn>, rows: Int, slots: UnsafePointer<Int32>? = nil,
        values: UnsafeMutablePointer<Float>
    ) throws(LoaderError) {
        guard fields.count == jetFields.count else {
            throw LoaderError(
                .feature, place: "jet features",
                message: "\(fields.count) columns, expected \(jetFields.count): \(jetFields.joined(separator: ", "))")
        }
        try checkBatch(rows: rows, slots: slots)
        let width = jets.kernels.count, block = 64
        withUnsafeTemporaryAllocation(of: Double.self, capacity: block) { raw in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { finished in
                guard let x = raw.baseAddress, let y = finished.baseAddress else { return }
                for column in 0..<width {
                    var feature = jets.kernels[column]
                    let field = fields[fields.index(fields.startIndex, offsetBy: Int(feature.field))]
                    for first in stride(from: 0, to: rows, by: block) {
                        let count = min(block, rows - first)
                        field.copy(from: first, into: UnsafeMutableBufferPointer(start: x, count: count))
                        pando_finish_feature(&feature, jets.edges, count, x, y)
                        for i in 0..<count {
                            let row = slots.map { Int($0[first + i]) } ?? first + i
                            values[row * width + column] = y[i]
                        }
                    }
                }
            }
        }
    }
}
