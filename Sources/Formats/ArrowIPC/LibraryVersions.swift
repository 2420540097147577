import CLZ4
import CZstd

/// Versions of the codec libraries in use; compressed bytes depend on them.
public enum LibraryVersions {
    /// For example `1.5.4`.
    public static var zstd: String { String(cString: ZSTD_versionString()) }
    /// For example `1.9.4`.
    public static var lz4: String { String(cString: LZ4_versionString()) }
}
