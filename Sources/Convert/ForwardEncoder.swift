import Kernels
import Shards
import Support

/// Encodes momenta in the forward layout and folds flags, each compared with what comes back.
///
/// Not Sendable: one worker owns it with its memory.
final class ForwardEncoder {
    private let layout: ForwardMomenta?
    private let momentum, angles, axis, flags: [Int]
    private var masses: pando_pid_masses
    private let axisEta = AlignedBuffer()
    private let axisPhi = AlignedBuffer()
    private let unused = AlignedBuffer()

    /// An encoder for what the encoding names; it does nothing if that is nothing.
    init(_ encoding: JetEncoding) {
        func numbers(_ names: [String]?) -> [Int] {
            (names ?? []).map { name in encoding.fields.firstIndex { $0.name == name } ?? 0 }
        }
        layout = encoding.forward
        momentum = numbers(layout?.momentum)
        angles = numbers(layout?.angles)
        axis = numbers(layout?.axis)
        flags = numbers(encoding.flags)
        masses = pando_pid_masses(layout?.masses ?? [])
    }

    /// Encodes the momenta and flags of `columns`.
    /// - Parameters:
    ///   - misses: For each constituent the fields that do not come back are added to it.
    ///   - bits: The bit of a field in `misses`.
    ///   - target: Where a part goes; nil: it is not stored.
    func encode(
        _ columns: JetColumns, _ misses: UnsafeMutablePointer<UInt32>, bits: (Int) -> UInt32,
        into target: (ColumnContent.ForwardPart) -> AlignedBuffer?
    ) {
        let count = columns.constituents
        func out<T>(_ part: ColumnContent.ForwardPart, _ type: T.Type) -> UnsafeMutablePointer<T> {
            let buffer = target(part) ?? unused
            buffer.reserve(count * MemoryLayout<T>.size)
            return buffer.base.assumingMemoryBound(to: type)
        }
        func floats(_ field: Int) -> UnsafePointer<Float> {
            UnsafePointer(columns.fields[field].base.assumingMemoryBound(to: Float.self))
        }
        func repeated(_ field: Int, _ buffer: AlignedBuffer) -> UnsafePointer<Float> {
            buffer.reserve(count * 4)
            // The same 32 bits, whatever they mean.
            pando_repeat(
                columns.rows, columns.offsetNumbers.baseAddress,
                columns.fields[field].base.assumingMemoryBound(to: Int32.self),
                buffer.base.assumingMemoryBound(to: Int32.self))
            return UnsafePointer(buffer.base.assumingMemoryBound(to: Float.self))
        }
        if !flags.isEmpty {
            let values: [UnsafePointer<Int32>?] = flags.map {
                UnsafePointer(columns.fields[$0].base.assumingMemoryBound(to: Int32.self))
            }
            pando_fold_flags(count, values, out(.pid, Int8.self), flags.map(bits), misses)
        }
        guard let layout else { return }
        let p = momentum.map(floats), pt = out(.pt, Float.self)
        pando_forward_pt(count, p[0], p[1], pt)
        var input = pando_forward(
            pt: pt, deta: floats(angles[0]), dphi: floats(angles[1]), jet_eta: repeated(axis[0], axisEta),
            jet_phi: repeated(axis[1], axisPhi))
        let ulp: [UnsafeMutablePointer<Int8>?] = (0..<3).map { out(.ulp($0), Int8.self) }
        pando_forward_encode(count, p[0], p[1], p[2], &input, ulp, momentum.map(bits), misses)
        if layout.predictsEnergy {
            pando_forward_encode_energy(
                count, p[0], p[1], p[2], p[3], out(.pid, Int8.self), &masses, out(.energyULP, Int8.self),
                bits(momentum[3]), misses)
        }
    }
}
