import CZstd

/// Compresses values into Zstandard frames with content size and checksum; one thread's.
///
/// Level 3 can be tuned to the type of the values. libzstd's own parameters are made for text: they look for long matches with
/// large tables. Columns of measured numbers have few matches but repeated values, and looking for them is what costs time; so
/// shorter matches and small tables, which stay in the cache, are faster and give the same size.
public final class ZstdFrames {
    /// How values are looked at.
    private enum Kind: Int, CaseIterable {
        /// As libzstd does: integers, texts, offsets.
        case general
        /// Of one byte: codes and small residuals, where short matches cost more than they save.
        case bytes
        /// Of two bytes.
        case halves
        /// float32.
        case floats

        init(_ type: ArrowType?) {
            switch type {
            case .int8?, .uint8?: self = .bytes
            case .int16?, .uint16?, .float16?: self = .halves
            case .float32?: self = .floats
            default: self = .general
            }
        }

        /// Strategy, shortest match, logarithms of the tables' sizes.
        var parameters: [(ZSTD_cParameter, Int32)] {
            switch self {
            case .general: []
            case .bytes:
                [
                    (ZSTD_c_strategy, Int32(ZSTD_dfast.rawValue)), (ZSTD_c_minMatch, 7), (ZSTD_c_hashLog, 15),
                    (ZSTD_c_chainLog, 14),
                ]
            case .halves:
                [
                    (ZSTD_c_strategy, Int32(ZSTD_dfast.rawValue)), (ZSTD_c_minMatch, 6), (ZSTD_c_hashLog, 16),
                    (ZSTD_c_chainLog, 15),
                ]
            case .floats:
                [(ZSTD_c_strategy, Int32(ZSTD_fast.rawValue)), (ZSTD_c_minMatch, 4), (ZSTD_c_hashLog, 11)]
            }
        }
    }

    private let level: Int
    private let isTuned: Bool
    private var contexts: [OpaquePointer?] = Kind.allCases.map { _ in nil }

    /// A compressor at a level that libzstd knows (negative ones are fast).
    /// - Throws: `invalid` if it has no such level.
    public convenience init(level: Int) throws(ArrowError) { try self.init(level: level, isTuned: false) }

    /// A compressor at level 3, tuned to types.
    public static func tuned() throws(ArrowError) -> ZstdFrames { try ZstdFrames(level: 3, isTuned: true) }

    private init(level: Int, isTuned: Bool) throws(ArrowError) {
        guard level >= Int(ZSTD_minCLevel()), level <= Int(ZSTD_maxCLevel()) else {
            throw ArrowError(
                .invalid, message: "Zstandard has no level \(level): \(ZSTD_minCLevel()) to \(ZSTD_maxCLevel())")
        }
        self.level = level
        self.isTuned = isTuned
    }

    deinit {
        for context in contexts { ZSTD_freeCCtx(context) }
    }

    /// The most bytes that a frame of so many takes.
    public static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Compresses values of a type; nil: something else.
    /// - Returns: How many bytes of the target the frame takes.
    public func compress(
        _ source: UnsafeRawBufferPointer, as type: ArrowType?, to target: UnsafeMutableRawBufferPointer
    ) throws(ArrowError) -> Int {
        let kind = isTuned ? Kind(type) : .general
        let context: OpaquePointer
        if let known = contexts[kind.rawValue] {
            context = known
        } else {
            context = try make(kind)
            contexts[kind.rawValue] = context
        }
        let written = ZSTD_compress2(context, target.baseAddress, target.count, source.baseAddress, source.count)
        guard ZSTD_isError(written) == 0 else {
            throw ArrowError(.codec, message: "Zstandard: \(String(cString: ZSTD_getErrorName(written)))")
        }
        return written
    }

    private func make(_ kind: Kind) throws(ArrowError) -> OpaquePointer {
        guard let context = ZSTD_createCCtx() else {
            throw ArrowError(.codec, message: "no memory for a Zstandard context")
        }
        let usual: [(ZSTD_cParameter, Int32)] = [
            (ZSTD_c_compressionLevel, Int32(level)), (ZSTD_c_checksumFlag, 1), (ZSTD_c_contentSizeFlag, 1),
        ]
        for (parameter, value) in usual + kind.parameters {
            let outcome = ZSTD_CCtx_setParameter(context, parameter, value)
            guard ZSTD_isError(outcome) == 0 else {
                ZSTD_freeCCtx(context)
                throw ArrowError(.codec, message: "Zstandard: \(String(cString: ZSTD_getErrorName(outcome)))")
            }
        }
        return context
    }
}
