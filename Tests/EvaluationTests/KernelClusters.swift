import FastJet
import Kernels

/// A clustering by our kernel.
struct KernelClusters {
    let count: Int
    /// Mergers with the beam before the last step.
    let lost: Int
    /// The objects that each step took; -1 is the beam.
    let parents: [(Int, Int)]
    /// Of all objects.
    let px, pz, energy, y, phi, pt: [Double]

    init(_ jet: TestJet, _ algorithm: FastJet.Algorithm, _ scheme: FastJet.Scheme, radius: Double) {
        let count = jet.count, stride = max(8, pando_padded(2 * count))
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 9 * stride * 8, alignment: 64)
            .assumingMemoryBound(to: Double.self)
        let bytes = pando_cluster_scratch(count) * 8
        // Guarded: what lies behind must stay.
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 64)
        let guardian = scratch.assumingMemoryBound(to: Double.self) + bytes / 8
        guardian.initialize(repeating: 42, count: 8)
        memory.initialize(repeating: 0, count: 9 * stride)
        var steps = [Int32](repeating: 99, count: 2 * count + 2)
        defer {
            memory.deallocate()
            scratch.deallocate()
        }
        var lost = 0
        steps.withUnsafeMutableBufferPointer { steps in
            var objects = pando_cluster_objects(
                px: memory, py: memory + stride, pz: memory + 2 * stride, energy: memory + 3 * stride,
                y: memory + 4 * stride, phi: memory + 5 * stride, pt: memory + 6 * stride, pt2: memory + 7 * stride,
                mass: memory + 8 * stride, parents: steps.baseAddress)
            for index in 0..<count {
                objects.px[index] = jet.px[index]
                objects.py[index] = jet.py[index]
                objects.pz[index] = jet.pz[index]
                objects.energy[index] = jet.energy[index]
            }
            let kernel: pando_cluster_algorithm =
                switch algorithm {
                case .kt: PANDO_CLUSTER_KT
                case .cambridge: PANDO_CLUSTER_CAMBRIDGE
                case .antiKt: PANDO_CLUSTER_ANTI_KT
                }
            pando_cluster_prepare(count, &objects)
            lost = pando_cluster(
                count, kernel, scheme == .energy ? PANDO_CLUSTER_E : PANDO_CLUSTER_WTA_PT, radius, &objects,
                scratch.assumingMemoryBound(to: Double.self))
        }
        precondition((0..<8).allSatisfy { guardian[$0] == 42 } && steps.suffix(2) == [99, 99])
        func column(_ number: Int) -> [Double] { (0..<2 * count).map { memory[number * stride + $0] } }
        (px, pz, energy, y, phi, pt) = (column(0), column(2), column(3), column(4), column(5), column(6))
        parents = (0..<count).map { (Int(steps[2 * $0]), Int(steps[2 * $0 + 1])) }
        self.count = count
        self.lost = lost
    }
}
