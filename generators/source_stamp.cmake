# cmake -DROOT=… -DFOLDERS=a;b -DOUT=….cpp -DDEPFILE=… -P source_stamp.cmake
# Writes a C++ file whose source_stamp() is the hash of all files in the folders, by name and content, and the list of
# them for ninja. The folders themselves stand in it too: their times change when a file comes or goes.
set(text "")
set(depends "")
foreach(folder ${FOLDERS})
  file(GLOB_RECURSE entries LIST_DIRECTORIES true RELATIVE ${ROOT} ${ROOT}/${folder}/*)
  list(SORT entries)
  string(APPEND depends " ${ROOT}/${folder}")
  foreach(entry ${entries})
    if(IS_DIRECTORY ${ROOT}/${entry})
      string(APPEND depends " ${ROOT}/${entry}")
    elseif(entry MATCHES "\\.(cpp|h|inc)$")
      file(SHA256 ${ROOT}/${entry} hash)
      string(APPEND text "${entry} ${hash}\n")
      string(APPEND depends " ${ROOT}/${entry}")
    endif()
  endforeach()
endforeach()
string(SHA256 stamp "${text}")
string(SUBSTRING ${stamp} 0 16 stamp)
file(CONFIGURE OUTPUT ${OUT}
     CONTENT "#include \"generators/source_stamp.h\"\nstd::string_view oc::source_stamp() { return \"${stamp}\"; }\n")
file(WRITE ${DEPFILE} "${OUT}:${depends}\n")
